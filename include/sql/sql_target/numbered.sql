-- A part of a statement: what a query finds for one of several sets of parameters, with the set's number.
SELECT
    {number} AS set_number,
    found.*
FROM (
{query}
) AS found
