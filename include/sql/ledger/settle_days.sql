-- Put a new mark in the place of those that were known when the days were read; marks that came later stay.
WITH known AS (
    DELETE FROM settled_days
    WHERE source_object = %(source_object)s AND id = ANY(%(ids)s)
)

INSERT INTO settled_days (source_object, terms, settled_before)
VALUES (%(source_object)s, %(terms)s, %(settled_before)s)
RETURNING id
