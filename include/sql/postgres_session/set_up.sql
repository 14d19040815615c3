-- Set every setting that this product relies on, in one place: a server, a database or a role may have other defaults,
-- and then instants can't be read, numbers lose digits, or transactions don't see what others have committed. `others`
-- are further settings, by name.
SELECT COUNT(SET_CONFIG(name, value, %(is_local)s)) AS settings
FROM (
    VALUES
    ('DateStyle', 'ISO, MDY'),
    ('IntervalStyle', 'postgres'),
    ('TimeZone', 'UTC'),
    ('bytea_output', 'hex'),
    ('xmlbinary', 'base64'),
    ('extra_float_digits', '1'),
    ('transform_null_equals', 'off'),
    ('default_transaction_isolation', 'read committed'),
    ('default_transaction_deferrable', 'off')
    UNION ALL
    SELECT
        key,
        value
    FROM JSONB_EACH_TEXT(%(others)s::jsonb)
) AS relied_on (name, value)
