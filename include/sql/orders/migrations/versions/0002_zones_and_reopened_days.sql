-- A store has a zone of its own, where it isn't in pipeline_timezone. Coverage knows which days were pulled when they were
-- over, so that what a dry run shows is what a pull decides; and days to which an order may have moved are pulled again.

ALTER TABLE store_master ADD COLUMN IF NOT EXISTS store_timezone TEXT;
COMMENT ON COLUMN store_master.store_timezone IS
'IANA name, such as Asia/Dubai, in whose days the CRM gives this store''s reports; NULL: pipeline_timezone';

CREATE TABLE orders_sync_settings (timezone TEXT NOT NULL);
COMMENT ON TABLE orders_sync_settings IS
'One row: pipeline_timezone, which the coverage''s whole days were computed with; written by runs and by `orders migrate`';
INSERT INTO orders_sync_settings (timezone) VALUES ('');

CREATE TABLE orders_sync_reopened (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pipeline_id BIGINT NOT NULL,
    store_code VARCHAR(8) NOT NULL,
    from_date DATE NOT NULL,
    to_date DATE NOT NULL CHECK (from_date <= to_date),
    reopened_at TIMESTAMPTZ NOT NULL,
    reason TEXT NOT NULL
);
COMMENT ON TABLE orders_sync_reopened IS
'Days whose earlier successes don''t count any more: rows vanished from a report beside them and may have moved there. A row
goes when successes that began later cover its days';
CREATE INDEX ix_orders_sync_reopened_store ON orders_sync_reopened (pipeline_id, store_code);

ALTER TABLE orders_sync_coverage ADD COLUMN whole DATEMULTIRANGE NOT NULL DEFAULT '{}';
COMMENT ON TABLE orders_sync_coverage IS
'covered: the union of the dates of all success rows of orders_sync_log. whole: without the days that were pulled only
while they went on, and without reopened ones. Kept by triggers; never written by hand';

-- Where a store's days are. A name that the database doesn't know stands for none; a run leaves such a store out.
CREATE OR REPLACE FUNCTION orders_sync_zone(of_store VARCHAR, otherwise TEXT) RETURNS TEXT
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
DECLARE
    found TEXT;
BEGIN
    SELECT s.store_timezone INTO found FROM store_master AS s
    WHERE s.store_code = of_store AND s.store_timezone <> ''
    LIMIT 1;
    IF found IS NULL THEN
        RETURN otherwise;
    END IF;
    PERFORM now() AT TIME ZONE found;
    RETURN found;
EXCEPTION WHEN invalid_parameter_value THEN
    RETURN otherwise;
END
$$;

-- The days of one success that were over when it was pulled, and were not reopened since.
CREATE OR REPLACE FUNCTION orders_sync_days_whole(
    of_pipeline BIGINT, of_store VARCHAR, first_day DATE, last_day DATE, pulled_at TIMESTAMPTZ, zone TEXT
) RETURNS DATEMULTIRANGE LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
DECLARE
    last_whole DATE;
BEGIN
    IF zone = '' THEN
        RETURN '{}';
    END IF;
    last_whole := LEAST(last_day, (pulled_at AT TIME ZONE zone)::DATE - 1);
    IF first_day > last_whole THEN
        RETURN '{}';
    END IF;
    RETURN datemultirange(daterange(first_day, last_whole, '[]')) - COALESCE(
        (
            SELECT range_agg(daterange(r.from_date, r.to_date, '[]')) FROM orders_sync_reopened AS r
            WHERE r.pipeline_id = of_pipeline AND r.store_code = of_store AND r.reopened_at >= pulled_at
        ),
        '{}'
    );
END
$$;

-- The same of all successes of a store and pipeline, from the log; without those that `except_run` wrote since it started.
CREATE OR REPLACE FUNCTION orders_sync_whole(
    of_pipeline BIGINT, of_store VARCHAR, otherwise TEXT, except_run VARCHAR DEFAULT NULL
) RETURNS DATEMULTIRANGE LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
DECLARE
    zone TEXT := orders_sync_zone(of_store, otherwise);
    since TIMESTAMPTZ := (SELECT s.started_at FROM pipeline_run_summaries AS s WHERE s.run_id = except_run);
BEGIN
    RETURN COALESCE(
        (
            SELECT range_agg(
                orders_sync_days_whole(of_pipeline, of_store, l.from_date, l.to_date, l.created_at, zone)
            )
            FROM orders_sync_log AS l
            WHERE l.pipeline_id = of_pipeline AND l.store_code = of_store AND l.status = 'success'
                AND l.from_date <= l.to_date
                AND (l.run_id = except_run AND l.updated_at >= since) IS NOT TRUE
        ),
        '{}'
    );
END
$$;

CREATE OR REPLACE FUNCTION orders_sync_cover() RETURNS TRIGGER LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    lost RECORD;
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM orders_sync_coverage;
        RETURN NULL;
    END IF;
    IF TG_OP = 'DELETE' THEN
        FOR lost IN
            SELECT DISTINCT o.pipeline_id, o.store_code FROM old_rows AS o WHERE o.status = 'success' ORDER BY 1, 2
        LOOP
            PERFORM orders_sync_cover_again(lost.pipeline_id, lost.store_code);
        END LOOP;
        RETURN NULL;
    END IF;
    IF TG_OP = 'UPDATE' THEN
        FOR lost IN
            SELECT DISTINCT o.pipeline_id, o.store_code FROM old_rows AS o
            WHERE o.status = 'success' AND NOT EXISTS (
                SELECT FROM new_rows AS n
                WHERE n.status = 'success'
                    AND (n.id, n.pipeline_id, n.store_code, n.from_date, n.to_date, n.created_at)
                    = (o.id, o.pipeline_id, o.store_code, o.from_date, o.to_date, o.created_at)
            )
            ORDER BY 1, 2
        LOOP
            PERFORM orders_sync_cover_again(lost.pipeline_id, lost.store_code);
        END LOOP;
    END IF;
    INSERT INTO orders_sync_coverage AS c (pipeline_id, store_code, covered, whole)
    SELECT
        n.pipeline_id, n.store_code, range_agg(daterange(n.from_date, n.to_date, '[]')),
        range_agg(
            orders_sync_days_whole(
                n.pipeline_id, n.store_code, n.from_date, n.to_date, n.created_at,
                orders_sync_zone(n.store_code, (SELECT s.timezone FROM orders_sync_settings AS s))
            )
        )
    FROM new_rows AS n
    WHERE n.status = 'success' AND n.from_date <= n.to_date
    GROUP BY n.pipeline_id, n.store_code
    ORDER BY n.pipeline_id, n.store_code
    ON CONFLICT (pipeline_id, store_code) DO UPDATE SET
        covered = c.covered + excluded.covered, whole = c.whole + excluded.whole
    WHERE NOT (c.covered @> excluded.covered AND c.whole @> excluded.whole);
    RETURN NULL;
END
$$;

-- A success is gone, a zone has changed, or days were reopened: lock first, then look, with a snapshot that sees who came
-- before.
CREATE OR REPLACE FUNCTION orders_sync_cover_again(of_pipeline BIGINT, of_store VARCHAR) RETURNS VOID
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM FROM orders_sync_coverage WHERE pipeline_id = of_pipeline AND store_code = of_store FOR UPDATE;
    UPDATE orders_sync_coverage SET
        covered = COALESCE(
            (
                SELECT range_agg(daterange(l.from_date, l.to_date, '[]')) FROM orders_sync_log AS l
                WHERE l.pipeline_id = of_pipeline AND l.store_code = of_store AND l.status = 'success'
                    AND l.from_date <= l.to_date
            ),
            '{}'
        ),
        whole = orders_sync_whole(of_pipeline, of_store, (SELECT s.timezone FROM orders_sync_settings AS s))
    WHERE pipeline_id = of_pipeline AND store_code = of_store;
END
$$;

CREATE OR REPLACE FUNCTION orders_sync_again() RETURNS TRIGGER LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_TABLE_NAME = 'orders_sync_settings' THEN
        PERFORM orders_sync_cover_again(c.pipeline_id, c.store_code) FROM (
            SELECT o.pipeline_id, o.store_code FROM orders_sync_coverage AS o ORDER BY 1, 2
        ) AS c;
    ELSIF TG_TABLE_NAME = 'orders_sync_reopened' THEN
        PERFORM orders_sync_cover_again(NEW.pipeline_id, NEW.store_code);
    ELSE
        PERFORM orders_sync_cover_again(c.pipeline_id, c.store_code) FROM (
            SELECT o.pipeline_id, o.store_code FROM orders_sync_coverage AS o
            WHERE o.store_code = NEW.store_code
            ORDER BY 1, 2
        ) AS c;
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE TRIGGER orders_sync_settings_again AFTER UPDATE ON orders_sync_settings
FOR EACH ROW EXECUTE FUNCTION orders_sync_again();
CREATE OR REPLACE TRIGGER orders_sync_reopened_again AFTER INSERT ON orders_sync_reopened
FOR EACH ROW EXECUTE FUNCTION orders_sync_again();
CREATE OR REPLACE TRIGGER store_master_again_insert AFTER INSERT ON store_master
FOR EACH ROW WHEN (new.store_timezone IS NOT NULL) EXECUTE FUNCTION orders_sync_again();
CREATE OR REPLACE TRIGGER store_master_again_update AFTER UPDATE OF store_timezone, store_code ON store_master
FOR EACH ROW WHEN (
    (new.store_timezone, new.store_code) IS DISTINCT FROM (old.store_timezone, old.store_code)
) EXECUTE FUNCTION orders_sync_again();
