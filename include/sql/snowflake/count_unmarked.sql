-- A part of a statement: milliseconds since 1970, unless the number looks like seconds: then the configuration has to
-- name the unit.
CASE
    WHEN
        REGEXP_LIKE({text}, '([0-9]{1,14}|-[0-9]{1,13})([.]0*)?') AND NOT REGEXP_LIKE({text}, '[0-9]{9,10}([.]0*)?')
        THEN TO_TIMESTAMP_NTZ(TRY_TO_NUMBER({text}, 14, 0), 3)
END
