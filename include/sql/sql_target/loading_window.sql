-- A part of a statement: one window of a load, with the columns that all of its rows have.
SELECT
    %(source_object)s AS source_object,
    %(lifecycle_id)s AS lifecycle_id,
    %(fence)s AS fence,
    %(file)s AS file_name
