-- Delete rows of the pipelines that the ledger no longer has: the landed rows are all that it has.
DELETE FROM {mirror}
WHERE pipeline_id {in_pipelines}
