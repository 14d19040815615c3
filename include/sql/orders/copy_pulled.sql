-- Stream some of a report's rows, each with its number in the report.
COPY {pulled} (row_number, {fields}) FROM STDIN
