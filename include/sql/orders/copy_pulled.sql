-- Stream a report's rows.
COPY {pulled} ({fields}) FROM STDIN
