-- A part of a statement: the instant of a number of seconds since 1970.
CASE
    WHEN
        REGEXP_LIKE({text}, '([0-9]{1,11}|-[0-9]{1,10})([.]0*)?')
        THEN TO_TIMESTAMP_NTZ(TRY_TO_NUMBER({text}, 14, 0) * 1000, 3)
END
