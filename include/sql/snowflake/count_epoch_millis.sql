-- A part of a statement: the instant of a number of milliseconds since 1970.
CASE
    WHEN
        REGEXP_LIKE({text}, '([0-9]{1,14}|-[0-9]{1,13})([.]0*)?')
        THEN TO_TIMESTAMP_NTZ(TRY_TO_NUMBER({text}, 14, 0), 3)
END
