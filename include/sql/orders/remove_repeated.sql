-- Remove rows whose business key an earlier row of the report has; return the first one that is not the same in every
-- cell as the first row of its key, with the numbers of both.
WITH repeated AS (
    SELECT {key} AS report_key, min(row_number) AS first_number FROM {pulled} GROUP BY {key} HAVING count(*) > 1
),

removed AS (
    DELETE FROM {pulled} AS p
    USING repeated AS r, {pulled} AS f
    WHERE p.{key} = r.report_key AND p.row_number > r.first_number AND f.row_number = r.first_number
    RETURNING r.report_key, p.row_number, r.first_number, ({pulled_cells}) IS DISTINCT FROM ({first_cells}) AS is_other
)

SELECT report_key, row_number, first_number FROM removed WHERE is_other ORDER BY row_number LIMIT 1
