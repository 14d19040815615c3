-- Add a typed column that the pipeline's file has and the table has not; the write lock keeps others from doing the same.
ALTER TABLE {target} ADD COLUMN {added_column} {added_type}
