-- A part of a statement: id, hash, event time and document of every loaded line. The hash is the first 15 hexadecimal
-- digits of the id's md5. Nanoseconds are cut to microseconds, exactly and also before 1970: a number of microseconds has
-- no remainder. (No TO_TIMESTAMP_NTZ with a scale of 6: fakesnow 0.12.1 counts seconds as 64-bit floats for it.)
SELECT
    line['_id']::TEXT AS _id,
    BITSHIFTRIGHT(MD5_NUMBER_UPPER64(line['_id']::TEXT), 4)::NUMBER(19, 0) AS _id_hash,
    DATEADD(
        {date_part},
        IFF(
            %(divisor)s = 1,
            line['sort'][1]::NUMBER(38, 0),
            (
                line['sort'][1]::NUMBER(38, 0)
                - MOD(MOD(line['sort'][1]::NUMBER(38, 0), %(divisor)s) + %(divisor)s, %(divisor)s)
            ) / %(divisor)s
        )::NUMBER(38, 0),
        TO_TIMESTAMP_NTZ(0)
    ) AS _event_at,
    line['_source'] AS doc
FROM {loading}
