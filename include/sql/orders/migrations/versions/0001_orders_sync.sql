-- The orders sync's tables (requirement 5). A database that has some of them already keeps them and their rows: what is
-- missing is added, what does not fit is refused with a message, and then nothing at all is changed.

CREATE TABLE IF NOT EXISTS pipelines (
    id BIGSERIAL PRIMARY KEY,
    code VARCHAR(64) NOT NULL UNIQUE
);

CREATE TABLE IF NOT EXISTS pipeline_run_summaries (
    id BIGSERIAL PRIMARY KEY,
    run_id VARCHAR(64) NOT NULL UNIQUE,
    pipeline_name VARCHAR(64) NOT NULL,
    run_env VARCHAR(32) NOT NULL,
    started_at TIMESTAMPTZ NOT NULL,
    finished_at TIMESTAMPTZ,
    report_date DATE,
    overall_status VARCHAR(16) NOT NULL,
    summary_text TEXT
);

CREATE TABLE IF NOT EXISTS store_master (
    id BIGSERIAL PRIMARY KEY,
    store_code VARCHAR(8) UNIQUE,
    cost_center VARCHAR(8),
    sync_group VARCHAR(8) DEFAULT 'ALL',
    start_date DATE,
    is_active BOOLEAN NOT NULL DEFAULT TRUE
);

CREATE TABLE IF NOT EXISTS orders_sync_log (
    id BIGSERIAL PRIMARY KEY,
    pipeline_id BIGINT NOT NULL,
    run_id VARCHAR(64) NOT NULL,
    run_env VARCHAR(32) NOT NULL,
    cost_center VARCHAR(8),
    store_code VARCHAR(8) NOT NULL,
    from_date DATE NOT NULL,
    to_date DATE NOT NULL,
    orders_pulled_at TIMESTAMPTZ NULL,
    sales_pulled_at TIMESTAMPTZ NULL,
    status VARCHAR(16) NOT NULL,
    attempt_no INT NOT NULL DEFAULT 1,
    error_message TEXT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS td_orders (
    store_code VARCHAR(8) NOT NULL,
    order_number TEXT NOT NULL,
    order_date DATE NOT NULL,
    ordered_at TIMESTAMPTZ NOT NULL,
    customer_code TEXT,
    order_status TEXT NOT NULL,
    pieces INTEGER NOT NULL,
    gross_amount NUMERIC(14, 2) NOT NULL,
    discount_amount NUMERIC(14, 2) NOT NULL,
    net_amount NUMERIC(14, 2) NOT NULL,
    delivered_at TIMESTAMPTZ,
    is_vanished_flag BOOLEAN NOT NULL DEFAULT FALSE,
    vanished_at TIMESTAMPTZ,
    run_id VARCHAR(64) NOT NULL,
    inserted_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (store_code, order_number)
);

CREATE TABLE IF NOT EXISTS td_sales (
    store_code VARCHAR(8) NOT NULL,
    sale_number TEXT NOT NULL,
    order_number TEXT NOT NULL,
    sale_date DATE NOT NULL,
    sold_at TIMESTAMPTZ NOT NULL,
    payment_mode TEXT NOT NULL,
    amount NUMERIC(14, 2) NOT NULL,
    is_vanished_flag BOOLEAN NOT NULL DEFAULT FALSE,
    vanished_at TIMESTAMPTZ,
    run_id VARCHAR(64) NOT NULL,
    inserted_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (store_code, sale_number)
);

CREATE TABLE IF NOT EXISTS uc_gst (
    store_code VARCHAR(8) NOT NULL,
    invoice_number TEXT NOT NULL,
    order_number TEXT NOT NULL,
    invoice_date DATE NOT NULL,
    invoiced_at TIMESTAMPTZ NOT NULL,
    customer_gstin TEXT,
    taxable_amount NUMERIC(14, 2) NOT NULL,
    cgst_amount NUMERIC(14, 2) NOT NULL,
    sgst_amount NUMERIC(14, 2) NOT NULL,
    total_amount NUMERIC(14, 2) NOT NULL,
    is_vanished_flag BOOLEAN NOT NULL DEFAULT FALSE,
    vanished_at TIMESTAMPTZ,
    run_id VARCHAR(64) NOT NULL,
    inserted_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (store_code, invoice_number)
);

-- Adopted tables: columns that can be added without touching a row are, the rest is told.
DO $$
DECLARE
    wanted RECORD;
    missing TEXT;
BEGIN
    FOR wanted IN
        SELECT w.* FROM (VALUES
            ('pipeline_run_summaries', 'pipeline_name', 'VARCHAR(64)'),
            ('pipeline_run_summaries', 'run_env', 'VARCHAR(32)'),
            ('pipeline_run_summaries', 'started_at', 'TIMESTAMPTZ'),
            ('pipeline_run_summaries', 'finished_at', 'TIMESTAMPTZ'),
            ('pipeline_run_summaries', 'report_date', 'DATE'),
            ('pipeline_run_summaries', 'overall_status', 'VARCHAR(16)'),
            ('pipeline_run_summaries', 'summary_text', 'TEXT'),
            ('store_master', 'cost_center', 'VARCHAR(8)'),
            ('store_master', 'sync_group', 'VARCHAR(8)'),
            ('store_master', 'start_date', 'DATE'),
            ('orders_sync_log', 'cost_center', 'VARCHAR(8)'),
            ('orders_sync_log', 'orders_pulled_at', 'TIMESTAMPTZ'),
            ('orders_sync_log', 'sales_pulled_at', 'TIMESTAMPTZ'),
            ('orders_sync_log', 'attempt_no', 'INT NOT NULL DEFAULT 1'),
            ('orders_sync_log', 'error_message', 'TEXT'),
            ('orders_sync_log', 'created_at', 'TIMESTAMPTZ NOT NULL DEFAULT now()'),
            ('orders_sync_log', 'updated_at', 'TIMESTAMPTZ NOT NULL DEFAULT now()'),
            ('td_orders', 'is_vanished_flag', 'BOOLEAN NOT NULL DEFAULT FALSE'),
            ('td_orders', 'vanished_at', 'TIMESTAMPTZ'),
            ('td_orders', 'run_id', 'VARCHAR(64)'),
            ('td_orders', 'inserted_at', 'TIMESTAMPTZ NOT NULL DEFAULT now()'),
            ('td_orders', 'updated_at', 'TIMESTAMPTZ NOT NULL DEFAULT now()'),
            ('td_sales', 'is_vanished_flag', 'BOOLEAN NOT NULL DEFAULT FALSE'),
            ('td_sales', 'vanished_at', 'TIMESTAMPTZ'),
            ('td_sales', 'run_id', 'VARCHAR(64)'),
            ('td_sales', 'inserted_at', 'TIMESTAMPTZ NOT NULL DEFAULT now()'),
            ('td_sales', 'updated_at', 'TIMESTAMPTZ NOT NULL DEFAULT now()'),
            ('uc_gst', 'is_vanished_flag', 'BOOLEAN NOT NULL DEFAULT FALSE'),
            ('uc_gst', 'vanished_at', 'TIMESTAMPTZ'),
            ('uc_gst', 'run_id', 'VARCHAR(64)'),
            ('uc_gst', 'inserted_at', 'TIMESTAMPTZ NOT NULL DEFAULT now()'),
            ('uc_gst', 'updated_at', 'TIMESTAMPTZ NOT NULL DEFAULT now()')
        ) AS w (table_name, column_name, definition)
        WHERE NOT EXISTS (
            SELECT FROM pg_attribute AS a
            WHERE a.attrelid = to_regclass(w.table_name) AND a.attname = w.column_name AND NOT a.attisdropped
        )
    LOOP
        EXECUTE format('ALTER TABLE %I ADD COLUMN %I %s', wanted.table_name, wanted.column_name, wanted.definition);
    END LOOP;

    SELECT string_agg(w.table_name || '.' || w.column_name, ', ') INTO missing
    FROM (VALUES
        ('pipelines', 'id'), ('pipelines', 'code'), ('pipeline_run_summaries', 'run_id'),
        ('store_master', 'store_code'), ('store_master', 'is_active'),
        ('orders_sync_log', 'id'), ('orders_sync_log', 'pipeline_id'), ('orders_sync_log', 'run_id'),
        ('orders_sync_log', 'run_env'), ('orders_sync_log', 'store_code'), ('orders_sync_log', 'from_date'),
        ('orders_sync_log', 'to_date'), ('orders_sync_log', 'status'),
        ('td_orders', 'store_code'), ('td_orders', 'order_number'), ('td_orders', 'order_date'),
        ('td_orders', 'ordered_at'), ('td_orders', 'customer_code'), ('td_orders', 'order_status'),
        ('td_orders', 'pieces'), ('td_orders', 'gross_amount'), ('td_orders', 'discount_amount'),
        ('td_orders', 'net_amount'), ('td_orders', 'delivered_at'),
        ('td_sales', 'store_code'), ('td_sales', 'sale_number'), ('td_sales', 'order_number'),
        ('td_sales', 'sale_date'), ('td_sales', 'sold_at'), ('td_sales', 'payment_mode'), ('td_sales', 'amount'),
        ('uc_gst', 'store_code'), ('uc_gst', 'invoice_number'), ('uc_gst', 'order_number'),
        ('uc_gst', 'invoice_date'), ('uc_gst', 'invoiced_at'), ('uc_gst', 'customer_gstin'),
        ('uc_gst', 'taxable_amount'), ('uc_gst', 'cgst_amount'), ('uc_gst', 'sgst_amount'), ('uc_gst', 'total_amount')
    ) AS w (table_name, column_name)
    WHERE NOT EXISTS (
        SELECT FROM pg_attribute AS a
        WHERE a.attrelid = to_regclass(w.table_name) AND a.attname = w.column_name AND NOT a.attisdropped
    );
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION 'the database has tables of these names without the columns %', missing
            USING HINT = 'Add the columns, or rename your table, and migrate again; nothing was changed.';
    END IF;

    -- Columns that would refuse every row of ours: they want a value that we don't have, or are too short for one.
    SELECT string_agg(f.fault, ', ' ORDER BY f.fault) INTO missing
    FROM (
        SELECT format('%s.%s (NOT NULL, no default)', w.table_name, a.attname) AS fault
        FROM (VALUES
            (
                'pipeline_run_summaries',
                'run_id pipeline_name run_env started_at finished_at report_date overall_status summary_text'
            ),
            (
                'orders_sync_log',
                'pipeline_id run_id run_env cost_center store_code from_date to_date orders_pulled_at sales_pulled_at '
                'status attempt_no error_message'
            ),
            (
                'td_orders',
                'store_code order_number order_date ordered_at customer_code order_status pieces gross_amount '
                'discount_amount net_amount delivered_at run_id'
            ),
            (
                'td_sales',
                'store_code sale_number order_number sale_date sold_at payment_mode amount run_id'
            ),
            (
                'uc_gst',
                'store_code invoice_number order_number invoice_date invoiced_at customer_gstin taxable_amount '
                'cgst_amount sgst_amount total_amount run_id'
            )
        ) AS w (table_name, written)
        INNER JOIN pg_attribute AS a ON a.attrelid = to_regclass(w.table_name)
        WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attnotnull AND NOT a.atthasdef AND a.attidentity = ''
            AND a.attname <> ALL (string_to_array(w.written, ' '))
        UNION ALL
        SELECT format('%s.%s (shorter than %s characters)', w.table_name, a.attname, w.least)
        FROM (VALUES
            ('pipeline_run_summaries', 'run_id', 64), ('pipeline_run_summaries', 'pipeline_name', 64),
            ('pipeline_run_summaries', 'run_env', 32), ('pipeline_run_summaries', 'overall_status', 16),
            ('orders_sync_log', 'run_id', 64), ('orders_sync_log', 'run_env', 32), ('orders_sync_log', 'status', 16),
            ('orders_sync_log', 'store_code', 8), ('orders_sync_log', 'cost_center', 8),
            ('td_orders', 'run_id', 64), ('td_sales', 'run_id', 64), ('uc_gst', 'run_id', 64)
        ) AS w (table_name, column_name, least)
        INNER JOIN pg_attribute AS a ON a.attrelid = to_regclass(w.table_name) AND a.attname = w.column_name
        WHERE a.atttypid IN ('VARCHAR'::REGTYPE, 'BPCHAR'::REGTYPE) AND a.atttypmod BETWEEN 0 AND w.least + 3
    ) AS f;
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION 'tables that are there already can''t take our rows: %', missing
            USING HINT = 'Give these columns a default, or widen them, and migrate again; nothing was changed.';
    END IF;

    -- The keys that foreign keys and upserts lean on, where an adopted table has none over exactly these columns.
    FOR wanted IN
        SELECT w.* FROM (VALUES
            ('pipelines', 'uq_pipelines_code', ARRAY['code']),
            ('pipelines', 'uq_pipelines_id', ARRAY['id']),
            ('pipeline_run_summaries', 'uq_pipeline_run_summaries_run_id', ARRAY['run_id']),
            ('td_orders', 'uq_td_orders_key', ARRAY['store_code', 'order_number']),
            ('td_sales', 'uq_td_sales_key', ARRAY['store_code', 'sale_number']),
            ('uc_gst', 'uq_uc_gst_key', ARRAY['store_code', 'invoice_number'])
        ) AS w (table_name, index_name, key_columns)
        WHERE NOT EXISTS (
            SELECT FROM pg_index AS i
            WHERE i.indrelid = to_regclass(w.table_name) AND i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL
                AND (
                    SELECT array_agg(a.attname::TEXT ORDER BY a.attname) FROM pg_attribute AS a
                    WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey::SMALLINT[])
                ) = (SELECT array_agg(k ORDER BY k) FROM unnest(w.key_columns) AS k)
        )
    LOOP
        BEGIN
            EXECUTE format(
                'CREATE UNIQUE INDEX %I ON %I (%s)', wanted.index_name, wanted.table_name,
                (SELECT string_agg(quote_ident(k), ', ') FROM unnest(wanted.key_columns) AS k)
            );
        EXCEPTION WHEN unique_violation THEN
            RAISE EXCEPTION 'rows of % are not unique in %', wanted.table_name, wanted.key_columns
                USING HINT = 'Remove the duplicates and migrate again; nothing was changed.';
        END;
    END LOOP;

    IF NOT EXISTS (
        SELECT FROM pg_constraint
        WHERE conrelid = 'orders_sync_log'::REGCLASS AND contype = 'f' AND confrelid = 'pipelines'::REGCLASS
    ) THEN
        ALTER TABLE orders_sync_log ADD FOREIGN KEY (pipeline_id) REFERENCES pipelines (id);
    END IF;
    IF NOT EXISTS (
        SELECT FROM pg_constraint
        WHERE conrelid = 'orders_sync_log'::REGCLASS AND contype = 'f'
            AND confrelid = 'pipeline_run_summaries'::REGCLASS
    ) THEN
        ALTER TABLE orders_sync_log ADD FOREIGN KEY (run_id) REFERENCES pipeline_run_summaries (run_id);
    END IF;

    BEGIN
        INSERT INTO pipelines (code)
        SELECT c FROM unnest(ARRAY['td_orders_sync', 'uc_orders_sync']) AS c
        WHERE NOT EXISTS (SELECT FROM pipelines WHERE code = c);
    EXCEPTION WHEN not_null_violation OR check_violation THEN
        RAISE EXCEPTION 'the table pipelines has no rows td_orders_sync and uc_orders_sync, and takes none with a code alone'
            USING HINT = 'Insert both rows by hand, with the other columns that your table wants, and migrate again.';
    END;
END
$$;

CREATE UNIQUE INDEX IF NOT EXISTS uq_orders_sync_log_window
ON orders_sync_log (pipeline_id, store_code, from_date, to_date, run_id);
CREATE INDEX IF NOT EXISTS ix_orders_sync_log_lookup
ON orders_sync_log (pipeline_id, store_code, from_date, to_date, status);
CREATE INDEX IF NOT EXISTS ix_orders_sync_log_store_recent ON orders_sync_log (store_code, created_at DESC);
CREATE INDEX IF NOT EXISTS ix_orders_sync_log_pipeline_recent ON orders_sync_log (pipeline_id, created_at DESC);
CREATE INDEX IF NOT EXISTS ix_td_orders_date ON td_orders (store_code, order_date);
CREATE INDEX IF NOT EXISTS ix_td_sales_date ON td_sales (store_code, sale_date);
CREATE INDEX IF NOT EXISTS ix_uc_gst_date ON uc_gst (store_code, invoice_date);

-- Requirement 5, A: updated_at is maintained on every update, whoever updates.
CREATE OR REPLACE FUNCTION orders_sync_touch() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := clock_timestamp();
    RETURN NEW;
END
$$;
CREATE OR REPLACE TRIGGER orders_sync_log_touch BEFORE UPDATE ON orders_sync_log
FOR EACH ROW EXECUTE FUNCTION orders_sync_touch();

-- What the log covers, kept by the database in the statement that changes the log: the log stays the source of truth, and
-- a decision over ten thousand stores reads one row per store and pipeline, not years of log.
CREATE TABLE IF NOT EXISTS orders_sync_coverage (
    pipeline_id BIGINT NOT NULL,
    store_code VARCHAR(8) NOT NULL,
    covered DATEMULTIRANGE NOT NULL,
    PRIMARY KEY (pipeline_id, store_code)
);
COMMENT ON TABLE orders_sync_coverage IS
'The union of the dates of all success rows of orders_sync_log, kept by its triggers; never written by hand';

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
                    AND (n.id, n.pipeline_id, n.store_code, n.from_date, n.to_date)
                    = (o.id, o.pipeline_id, o.store_code, o.from_date, o.to_date)
            )
            ORDER BY 1, 2
        LOOP
            PERFORM orders_sync_cover_again(lost.pipeline_id, lost.store_code);
        END LOOP;
    END IF;
    INSERT INTO orders_sync_coverage AS c (pipeline_id, store_code, covered)
    SELECT n.pipeline_id, n.store_code, range_agg(daterange(n.from_date, n.to_date, '[]'))
    FROM new_rows AS n
    WHERE n.status = 'success' AND n.from_date <= n.to_date
    GROUP BY n.pipeline_id, n.store_code
    ORDER BY n.pipeline_id, n.store_code
    ON CONFLICT (pipeline_id, store_code) DO UPDATE SET covered = c.covered + excluded.covered
    WHERE NOT c.covered @> excluded.covered;
    RETURN NULL;
END
$$;

-- A success is gone, and others may cover its days: lock first, then look, with a snapshot that sees who came before.
CREATE OR REPLACE FUNCTION orders_sync_cover_again(of_pipeline BIGINT, of_store VARCHAR) RETURNS VOID
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM FROM orders_sync_coverage WHERE pipeline_id = of_pipeline AND store_code = of_store FOR UPDATE;
    UPDATE orders_sync_coverage SET covered = COALESCE(
        (
            SELECT range_agg(daterange(l.from_date, l.to_date, '[]')) FROM orders_sync_log AS l
            WHERE l.pipeline_id = of_pipeline AND l.store_code = of_store AND l.status = 'success'
                AND l.from_date <= l.to_date
        ),
        '{}'
    )
    WHERE pipeline_id = of_pipeline AND store_code = of_store;
END
$$;

CREATE OR REPLACE TRIGGER orders_sync_log_cover_insert AFTER INSERT ON orders_sync_log
REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION orders_sync_cover();
CREATE OR REPLACE TRIGGER orders_sync_log_cover_update AFTER UPDATE ON orders_sync_log
REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION orders_sync_cover();
CREATE OR REPLACE TRIGGER orders_sync_log_cover_delete AFTER DELETE ON orders_sync_log
REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION orders_sync_cover();
CREATE OR REPLACE TRIGGER orders_sync_log_cover_truncate AFTER TRUNCATE ON orders_sync_log
FOR EACH STATEMENT EXECUTE FUNCTION orders_sync_cover();

-- What an adopted log covers already.
INSERT INTO orders_sync_coverage (pipeline_id, store_code, covered)
SELECT l.pipeline_id, l.store_code, range_agg(daterange(l.from_date, l.to_date, '[]'))
FROM orders_sync_log AS l
WHERE l.status = 'success' AND l.from_date <= l.to_date
GROUP BY l.pipeline_id, l.store_code;
