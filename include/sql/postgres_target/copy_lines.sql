-- Staged lines, typed already; all or an error.
COPY {loading} (_id, _id_hash, _event_at, doc{columns}) FROM STDIN
