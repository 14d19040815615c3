-- Copy staged lines straight into the target, for windows that nothing was loaded into; all of them or an error. Nobody
-- sees them before the commit.
COPY {target} (_source_object, _lifecycle_id, _fence, _file, _id, _id_hash, _event_at, doc{columns}) FROM STDIN
