-- Up to which day a source's windows were found whole. A repair looks at the days from there on; the rows that are taken
-- out of older days say so here themselves, whoever takes them out. Marks are only added and deleted, never changed, so
-- that nobody waits for another.
CREATE TABLE settled_days (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source_object text NOT NULL,
    terms text,
    settled_before date NOT NULL
);

CREATE INDEX settled_days_source ON settled_days (source_object);

CREATE FUNCTION pipeline_lifecycle_unsettles_days() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF tg_op = 'TRUNCATE' THEN
        DELETE FROM settled_days;
    ELSE
        INSERT INTO settled_days (source_object, settled_before)
        VALUES (OLD.source_object, LEAST(OLD.target_day, (OLD.query_window_start_at AT TIME ZONE 'UTC')::date) - 2);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER unsettles_days AFTER DELETE OR UPDATE OF
is_invalidated_flag, source_object, timezone, target_day, query_window_start_at, query_window_end_at ON pipeline_lifecycle
FOR EACH ROW EXECUTE FUNCTION pipeline_lifecycle_unsettles_days();
CREATE TRIGGER unsettles_all_days AFTER TRUNCATE ON pipeline_lifecycle
FOR EACH STATEMENT EXECUTE FUNCTION pipeline_lifecycle_unsettles_days();

-- Which time zone rules the days were planned with is asked by every run: a look-up for each version answers it.
CREATE INDEX pipeline_lifecycle_zone_rules ON pipeline_lifecycle (zone_rules, target_day) WHERE NOT is_invalidated_flag;

COMMENT ON TABLE settled_days IS 'Marks that say from which day on a source''s windows have to be looked at; the earliest one counts.';
COMMENT ON COLUMN settled_days.id IS 'Number of the mark: who has looked at the days deletes the marks that it knew.';
COMMENT ON COLUMN settled_days.source_object IS 'Source of the windows.';
COMMENT ON COLUMN settled_days.terms IS 'What the days were judged by (zone, its rules, start_date, fill_missing_days); with other terms they are looked at again. NULL: rows were taken out of this day or a later one.';
COMMENT ON COLUMN settled_days.settled_before IS 'First local day that has to be looked at.';
COMMENT ON FUNCTION pipeline_lifecycle_unsettles_days() IS 'Marks the days whose rows were taken out, two days earlier to be safe in every time zone.';
