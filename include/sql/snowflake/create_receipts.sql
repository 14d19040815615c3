-- Create the receipts table with its anchor row, in one atomic statement: a session that inserts a guard row locks the
-- anchor first.
-- (hash_sum has 37 digits because fakesnow 0.12.1 stores NUMBER(38, 0) in 64 bits.)
-- The statement fails if the table exists. Kinds: anchor (one), guard (one per source object), load and delete (one per
-- window).
CREATE TABLE {receipts} AS
SELECT
    'anchor'::TEXT AS kind,
    ''::TEXT AS source_object,
    NULL::TIMESTAMP_NTZ(6) AS window_start_at,
    NULL::TIMESTAMP_NTZ(6) AS window_end_at,
    0::NUMBER(38, 0) AS fence,
    0::NUMBER(38, 0) AS lifecycle_id,
    0::NUMBER(38, 0) AS row_count,
    0::NUMBER(37, 0) AS hash_sum,
    ''::TEXT AS manifest,
    0::NUMBER(38, 0) AS fence_floor,
    SYSDATE()::TIMESTAMP_NTZ(6) AS written_at
