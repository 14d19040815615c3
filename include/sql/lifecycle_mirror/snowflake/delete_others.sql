-- Rows of the pipelines that are not in the ledger any more: the landed rows are all that it has.
DELETE FROM {mirror}
WHERE pipeline_id IN (%(pipelines)s)
