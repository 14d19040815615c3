-- A part of a statement: a finite 64-bit float.
CASE
    WHEN
        REGEXP_LIKE({text}, '[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]+)?')
        AND ABS(TRY_TO_DOUBLE({text})) <= TRY_TO_DOUBLE('1.7976931348623157e308')
        THEN TRY_TO_DOUBLE({text})
END
