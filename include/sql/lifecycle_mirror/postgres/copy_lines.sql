-- Copy the rows, each an array of texts.
COPY {loading} (line) FROM STDIN
