-- Add a typed column that the pipeline's file has and the table has not; rows that are there get NULL.
ALTER TABLE {target} ADD COLUMN IF NOT EXISTS {added_column} {added_type}
