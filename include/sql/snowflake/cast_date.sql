-- A part of a statement: the UTC day of a value that is a timestamp.
({timestamp})::DATE
