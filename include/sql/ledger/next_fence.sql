-- A fence greater than every fence that any task start of this ledger ever got.
SELECT NEXTVAL('pipeline_lifecycle_fence') AS fence
