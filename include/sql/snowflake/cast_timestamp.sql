-- A part of a statement: UTC from ISO 8601 text or from epoch milliseconds, independent of every session parameter:
-- the wall clock is padded to microseconds (finer digits are cut) and parsed with a fixed format, then the offset is
-- taken off by hand. (No REGEXP_SUBSTR: fakesnow 0.12.1 answers NULL for it inside TRY_TO_TIMESTAMP_NTZ.)
CASE
    WHEN
        {kind} = '"'
        AND REGEXP_LIKE(
            {text},
            '[0-9]{4}-[0-9]{2}-[0-9]{2}([T ](([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]+)?)?)(Z|[+-][0-9]{2}:?[0-9]{2})?)?'
        )
        AND TRY_TO_DATE(LEFT({text}, 10), 'YYYY-MM-DD') IS NOT NULL
        THEN DATEADD(
            MINUTE,
            CASE LEFT(REGEXP_REPLACE(SUBSTR({text}, 12), '^[0-9:.]+', ''), 1) WHEN '-' THEN 1 WHEN '+' THEN -1 ELSE 0 END
            * COALESCE(
                TRY_TO_NUMBER(SUBSTR(REGEXP_REPLACE(SUBSTR({text}, 12), '^[0-9:.]+', ''), 2, 2), 2, 0) * 60
                + TRY_TO_NUMBER(RIGHT({text}, 2), 2, 0),
                0
            ),
            TRY_TO_TIMESTAMP_NTZ(
                LEFT({text}, 10)
                || ' '
                || LEFT(REGEXP_REPLACE(SUBSTR({text}, 12), '[Z+-].*$', ''), 15)
                || SUBSTR('00:00:00.000000', LENGTH(LEFT(REGEXP_REPLACE(SUBSTR({text}, 12), '[Z+-].*$', ''), 15)) + 1),
                'YYYY-MM-DD HH24:MI:SS.FF6'
            )
        )
    WHEN {kind} <> '"'
        THEN {count}
END
