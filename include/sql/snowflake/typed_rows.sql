-- A part of a statement: the landed lines with every typed column as its text, its kind (first character of its JSON)
-- and its value, NULL where the text does not fit the type.
SELECT
    line{typed}
FROM (
    SELECT
        line{raw}
    FROM {loading}
) AS raw_rows
