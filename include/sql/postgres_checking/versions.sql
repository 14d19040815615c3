-- Return the version of the ledger's tables.
SELECT version_num FROM pipeline_lifecycle_version
