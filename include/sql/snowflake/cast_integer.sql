-- A part of a statement: digits exactly, or a spelling with an exponent that a 64-bit float holds exactly.
CASE
    WHEN REGEXP_LIKE({text}, '[+-]?[0-9]{1,37}([.]0*)?') THEN TRY_TO_NUMBER({text}, 37, 0)
    WHEN
        REGEXP_LIKE({text}, '[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]+)?')
        AND ABS(TRY_TO_DOUBLE({text})) <= 9007199254740992
        AND TRY_TO_DOUBLE({text}) = FLOOR(TRY_TO_DOUBLE({text}))
        THEN TRY_TO_NUMBER(TRY_TO_DOUBLE({text})::TEXT, 37, 0)
END
