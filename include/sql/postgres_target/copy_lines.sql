-- Copy staged lines whose values are already typed; all of them or an error.
COPY {landed} (_lifecycle_id, _id, _id_hash, _event_at, doc{columns}) FROM STDIN
