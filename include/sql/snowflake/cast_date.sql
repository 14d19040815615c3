-- A part of a statement: the day in UTC of what is a timestamp.
({timestamp})::DATE
