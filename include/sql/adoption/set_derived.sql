-- Set the derived columns that the older table does not have.
UPDATE pipeline_lifecycle_import AS imported
SET
    source_id = COALESCE(imported.source_id, derived.source_id),
    stage_id = COALESCE(imported.stage_id, derived.stage_id),
    target_id = COALESCE(imported.target_id, derived.target_id),
    source_category = COALESCE(imported.source_category, derived.source_category),
    stage_category = COALESCE(imported.stage_category, derived.stage_category),
    target_category = COALESCE(imported.target_category, derived.target_category),
    key_x = COALESCE(imported.key_x, derived.key_x),
    key_y = COALESCE(imported.key_y, derived.key_y),
    key_z = COALESCE(imported.key_z, derived.key_z)
FROM JSONB_POPULATE_RECORDSET(NULL::pipeline_lifecycle_import, %(rows)s::jsonb) AS derived
WHERE imported.import_id = %(import_id)s AND imported.id = derived.id
