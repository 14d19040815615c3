-- A part of a statement: a number without a fraction, exactly; a number written with an exponent must equal its own
-- rounding, because TRY_TO_NUMBER rounds.
CASE
    WHEN REGEXP_LIKE({text}, '[+-]?[0-9]{1,37}([.]0*)?') THEN TRY_TO_NUMBER({text}, 37, 0)
    WHEN
        REGEXP_LIKE({text}, '[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]+)')
        AND TRY_TO_NUMBER({text}, 37, 0) = TRY_TO_DOUBLE({text})
        THEN TRY_TO_NUMBER({text}, 37, 0)
END
