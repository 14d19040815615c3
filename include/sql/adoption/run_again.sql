-- Let kept rows run again where the target may hold rows of both a kept row and an invalidated one: a finished row is
-- moved again, and every load there is a replacement.
UPDATE pipeline_lifecycle_import AS imported
SET
    is_replacement_run_flag = TRUE,
    resolution
    = CASE WHEN imported.pipeline_final_status IN ('COMPLETED', 'SKIPPED') THEN 'run_again' ELSE imported.resolution END,
    reason = 'a row that overlapped it and is invalidated may have been loaded, too: the target may hold rows of both'
FROM UNNEST(%(ids)s::bigint[]) AS found (id)
WHERE imported.import_id = %(import_id)s AND imported.id = found.id
