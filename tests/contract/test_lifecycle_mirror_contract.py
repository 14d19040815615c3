"""What both mirrors of the ledger keep, on a real ledger; after every story mirror and ledger hold the same."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from include.implementation_modules.postgres_ledger.changed_rows import PostgresChanges
from include.pipeline_framework.errors import (
    ConfigurationError,
    PublishConflictError,
    ServiceUnavailableError,
)
from include.pipeline_framework.tasks.publish_lifecycle import NEW_TABLE, MirrorReport
from tests.contract.faulty_connections import Break
from tests.contract.mirror_harness import MirrorHarness, postgres_mirror, snowflake_mirror

pytestmark = pytest.mark.integration
REPO = Path(__file__).resolve().parents[2]
__all__ = ["postgres_mirror", "snowflake_mirror"]


@pytest.fixture(params=["postgres_mirror", "snowflake_mirror"])
def world(request: pytest.FixtureRequest) -> MirrorHarness:
    found: MirrorHarness = request.getfixturevalue(request.param)
    return found


def no_warehouse() -> Any:
    class Asleep:
        def prepare(self, *_: Any) -> bool:
            raise AssertionError("the warehouse was woken")

        replace = prepare

    return Asleep()


def test_every_column_arrives_exactly(world: MirrorHarness) -> None:
    first, second, third = world.plan(3)
    world.sql(
        """
        UPDATE pipeline_lifecycle SET
            static_metadata = '{"a": [1, 2.5, null, {"b": "\\"quoted\\" \\\\ back"}], "ü": "ß\\n"}',
            last_error = E'it''s 100 %% \\\\ "odd"\\n\\ttext – %%(name)s {0} ✈',
            staged_fingerprint = 1234567890123456789012345678901234567,
            fence = 9223372036854775807, stage_byte_count = -9223372036854775808, staged_count = 9007199254740993,
            percentage_difference = -0.0001, source_query_window_duration_minutes = 0.16666666666666666,
            expected_audit_duration_mins = 1234567.5, pipeline_locked_at = '2013-11-03T01:30:00.123456-05:00',
            not_before_at = '1969-12-31T23:59:59.999999Z', target_day = '0999-01-02', is_revisit_due_flag = TRUE,
            key_x = '', key_y = ' null ', key_z = 'null'
        WHERE id = %s
        """,
        (first,),
    )
    world.sql(
        "UPDATE pipeline_lifecycle SET is_invalidated_flag = TRUE, replaced_by_id = %s WHERE id = %s", (third, second)
    )
    assert world.cycle() == MirrorReport("test", 3, "never mirrored before")
    row = world.in_mirror()[first]
    assert (row["staged_fingerprint"], row["key_x"]) == (1234567890123456789012345678901234567, "")
    assert world.in_mirror()[second]["is_invalidated_flag"] is True
    world.require_equal()


def test_only_changed_rows_are_written_and_an_idle_cycle_wakes_no_warehouse(world: MirrorHarness) -> None:
    planned = world.plan(40)
    world.cycle()
    before = {key: row["_mirrored_at"] for key, row in world.in_mirror().items()}
    world.touch(*planned[:2])
    new = world.plan(1)
    assert world.cycle() == MirrorReport("test", 3)
    written = {key for key, row in world.in_mirror().items() if row["_mirrored_at"] != before.get(key)}
    assert written == {*planned[:2], *new}
    assert world.cycle(warehouse=no_warehouse()) == MirrorReport("test")
    assert world.cycle(warehouse=no_warehouse(), is_full=True, dry_run=True).rows == 41
    world.require_equal()


def late_commit(world: MirrorHarness, feed: Any) -> int:
    """A changes a row and stays open, B changes another, a cycle runs, A commits, a cycle runs: A's row."""
    late, early = world.plan(2)
    world.cycle(feed=feed)
    with world.session() as a:
        a.execute(
            "UPDATE pipeline_lifecycle SET priority = 7, record_last_updated_at = clock_timestamp() WHERE id = %s",
            (late,),
        )
        world.sql(
            "UPDATE pipeline_lifecycle SET priority = 8, record_last_updated_at = clock_timestamp() WHERE id = %s",
            (early,),
        )
        world.cycle(feed=feed)
        assert [int(row["priority"]) for row in (world.in_mirror()[late], world.in_mirror()[early])] == [0, 8]
        a.commit()
    world.cycle(feed=feed)
    return late


def test_a_row_that_is_committed_late_is_not_missed(world: MirrorHarness) -> None:
    late = late_commit(world, world.feed)
    assert world.in_mirror()[late]["priority"] == 7
    world.require_equal()


class ByTimestamp(PostgresChanges):
    """What a watermark of `record_last_updated_at` would read."""

    def _spool(self, file: Any, moment: Any, pipelines: Any, watermark: int | None) -> int:
        (last,) = self._locked.execute("SELECT max(mirrored_at) FROM lifecycle_mirrors").fetchone() or (None,)
        query = (
            "SELECT id FROM pipeline_lifecycle WHERE record_last_updated_at >= COALESCE(%s, '-infinity'::timestamptz)"
        )
        chosen = {str(row[0]) for row in self._locked.execute(query, (last,))}
        super()._spool(file, moment, pipelines, None)
        file.seek(0)
        kept = [line for line in file if json.loads(line)[0] in chosen]
        file.seek(0)
        file.truncate()
        file.writelines(kept)
        return len(kept)


def test_a_timestamp_would_have_missed_it(postgres_mirror: MirrorHarness) -> None:
    """The same story without transaction ids: otherwise the test above would prove nothing."""
    world = postgres_mirror
    late = late_commit(world, ByTimestamp(world.session))
    assert world.in_ledger()[late]["priority"] == 7
    assert world.in_mirror()[late]["priority"] == 0
    with pytest.raises(AssertionError):
        world.require_equal()


def test_rows_of_a_transaction_that_was_rolled_back_are_not_there(world: MirrorHarness) -> None:
    (row,) = world.plan(1)
    with world.session() as open_one:
        open_one.execute("UPDATE pipeline_lifecycle SET priority = 9")
        world.cycle()
        open_one.rollback()
    world.cycle()
    assert world.in_mirror()[row]["priority"] == 0
    world.require_equal()


def test_a_failure_between_the_warehouses_commit_and_the_watermark_repeats_the_rows(
    world: MirrorHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = world.plan(5)
    world.cycle()
    world.touch(*planned[:3], priority=4)

    def died(*_: Any) -> None:
        raise Break

    feed = world.feed
    monkeypatch.setattr(feed, "remember", died)
    with pytest.raises(Break):
        world.cycle(feed=feed)
    world.require_equal()  # the warehouse had committed
    world.touch(planned[0], priority=5)
    assert world.cycle().rows == 3
    world.require_equal()


KILLED = """
import json, os, signal, sys
import psycopg
from include.implementation_modules.postgres_ledger.changed_rows import PostgresChanges
from include.implementation_modules.registry import create_mirror
from include.pipeline_framework.tasks.publish_lifecycle import publish
given = json.loads(sys.argv[1])
if given["system"] == "snowflake":
    import snowflake.connector
    connect = lambda: snowflake.connector.connect(**given["warehouse"])
else:
    connect = lambda: psycopg.connect(given["warehouse"])
PostgresChanges.remember = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
feed = PostgresChanges(lambda: psycopg.connect(given["ledger"]))
publish("test", ["main"], feed, create_mirror(given["system"], connect, given["options"]))
"""


def test_a_process_killed_between_both_commits_loses_and_doubles_nothing(
    world: MirrorHarness, stack_env: dict[str, str], request: pytest.FixtureRequest
) -> None:
    planned = world.plan(30)
    world.cycle()
    world.touch(*planned[:20])
    if world.system == "snowflake":
        connection = json.loads(stack_env["AIRFLOW_CONN_TARGET_SNOWFLAKE"])
        warehouse: Any = {**connection["extra"], "user": connection["login"], "password": connection["password"]}
        warehouse["disable_ocsp_checks"] = warehouse.pop("insecure_mode")
    else:
        warehouse = request.getfixturevalue("scratch_postgres_url")
    given = {"system": world.system, "ledger": world.ledger_url, "warehouse": warehouse}
    given["options"] = {
        k: v for k, v in world.options.model_dump(by_alias=True).items() if k in ("database", "schema", "table")
    }
    done = subprocess.run(
        [sys.executable, "-c", KILLED, json.dumps(given)], cwd=REPO, capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    world.require_equal()
    assert world.cycle().rows == 20
    world.require_equal()


def test_a_death_before_the_commit_leaves_the_mirror_as_it_was(world: MirrorHarness) -> None:
    planned = world.plan(3)
    world.cycle()
    before = world.in_mirror()
    world.touch(*planned)
    world.faults.die_before_commit()
    with pytest.raises(Break):
        world.cycle()
    assert world.in_mirror() == before
    assert world.cycle().rows == 3
    world.require_equal()


def test_a_lost_answer_to_the_commit_is_an_error_to_try_again(world: MirrorHarness) -> None:
    planned = world.plan(3)
    world.cycle()
    world.touch(*planned)
    world.faults.lose_answer()
    with pytest.raises(ServiceUnavailableError, match="nothing is lost"):
        world.cycle()
    assert world.cycle().rows == 3
    world.require_equal()


def test_a_new_ledger_column_appears_with_what_old_rows_have_in_it(world: MirrorHarness) -> None:
    planned = world.plan(4)
    world.cycle()
    world.sql(
        "ALTER TABLE pipeline_lifecycle ADD COLUMN team text NOT NULL DEFAULT 'it''s us', ADD COLUMN cost numeric"
    )
    world.touch(planned[0])
    report = world.cycle()
    assert (report.rows, report.full_because) == (4, "the ledger has other columns: team text, cost numeric")
    assert {row["team"] for row in world.in_mirror().values()} == {"it's us"}
    world.require_equal()
    world.sql("ALTER TABLE pipeline_lifecycle DROP COLUMN cost")
    assert world.cycle().full_because == "the ledger has other columns: cost numeric"
    assert {row["cost"] for row in world.in_mirror().values()} == {None}


def test_a_dropped_table_is_made_anew_with_all_rows(world: MirrorHarness) -> None:
    planned = world.plan(4)
    world.cycle()
    world.execute("DROP TABLE {table}")
    world.touch(planned[0])
    assert world.cycle() == MirrorReport("test", 4, NEW_TABLE)
    world.require_equal()


@pytest.mark.parametrize(
    ("change", "because"),
    [
        ("UPDATE lifecycle_mirrors SET ledger = '1/2/3/4'", "another ledger"),
        ("VACUUM FULL pipeline_lifecycle", "another ledger"),
        ("UPDATE lifecycle_mirrors SET watermark = '9999999999'", "gone back"),
        ("DELETE FROM lifecycle_mirrors", "never mirrored"),
    ],
)
def test_after_a_restore_everything_is_mirrored_and_what_is_gone_goes(
    world: MirrorHarness, change: str, because: str
) -> None:
    planned = world.plan(4)
    world.cycle()
    world.sql("DELETE FROM pipeline_lifecycle WHERE id = %s", (planned[3],))  # the backup is older
    world.sql("ALTER TABLE pipeline_lifecycle DISABLE TRIGGER notes_its_transaction")
    world.sql("UPDATE pipeline_lifecycle SET priority = 3, changed_in = '5' WHERE id = %s", (planned[0],))
    world.sql("ALTER TABLE pipeline_lifecycle ENABLE TRIGGER notes_its_transaction")
    world.sql(change)
    report = world.cycle()
    assert report.rows == 3
    assert because in str(report.full_because)
    world.require_equal()


def test_numbers_of_another_servers_transactions_are_not_read_again_and_again(postgres_mirror: MirrorHarness) -> None:
    world = postgres_mirror
    planned = world.plan(3)
    world.sql("ALTER TABLE pipeline_lifecycle DISABLE TRIGGER notes_its_transaction")
    world.sql("UPDATE pipeline_lifecycle SET changed_in = '9000000000'")
    world.sql("ALTER TABLE pipeline_lifecycle ENABLE TRIGGER notes_its_transaction")
    world.cycle()
    assert world.cycle(warehouse=no_warehouse()).rows == 0
    world.touch(planned[1])
    assert world.cycle().rows == 1
    world.require_equal()


def test_full_on_demand_mends_a_mirror_that_somebody_changed(world: MirrorHarness) -> None:
    planned = world.plan(3)
    world.cycle()
    world.execute("UPDATE {table} SET priority = 99")
    world.execute(f"DELETE FROM {{table}} WHERE id = {planned[0]}")
    assert world.cycle(is_full=True) == MirrorReport("test", 3, "asked for")
    world.require_equal()


def test_a_second_cycle_at_once_is_left_out(world: MirrorHarness) -> None:
    world.plan(1)
    with world.feed.lock("test") as is_mine:
        assert is_mine
        assert world.cycle(warehouse=no_warehouse()).skipped_because == "another cycle of this mirror is running"
        with world.feed.lock("another mirror") as is_free:
            assert is_free
    assert world.cycle().rows == 1
    world.require_equal()


def test_a_cycle_that_was_overtaken_brings_back_no_old_rows(world: MirrorHarness) -> None:
    (row,) = world.plan(1)
    world.cycle()
    slow = world.feed
    world.touch(row, priority=1)
    with slow.lock("test"), slow.read(slow.last("test"), ["main"]) as old:
        world.touch(row, priority=2)
        assert world.cycle(feed=Unlocked(world.feed)).rows == 1
        columns, mirrored_at = old.moment.columns, old.moment.read_at
        for all_of in (None, ["main"]):
            with pytest.raises(PublishConflictError, match="later moment"):
                world.mirror.replace(columns, old.lines(), mirrored_at=mirrored_at, all_of=all_of)
    world.require_equal()


class Unlocked:
    """A feed whose lock another cycle has lost without noticing."""

    def __init__(self, feed: PostgresChanges) -> None:
        self._feed = feed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._feed, name)

    @contextmanager
    def lock(self, _: str) -> Any:
        with self._feed.lock("a lock of its own"):
            yield True


def test_another_table_of_its_name_stays_as_it_is(world: MirrorHarness) -> None:
    world.plan(1)
    world.execute("CREATE TABLE {table} (id INTEGER)")
    with pytest.raises(ConfigurationError, match="no mirror of the ledger"):
        world.cycle()
    assert world.execute("SELECT * FROM {table}") == []


def test_the_ledger_itself_is_never_overwritten(postgres_mirror: MirrorHarness) -> None:
    """A Postgres target in the ledger's own database and schema."""
    world = postgres_mirror
    world.plan(2)
    before = world.in_ledger()
    world.connect = world.session
    with pytest.raises(ConfigurationError, match="the ledger itself"):
        world.cycle()
    assert world.in_ledger() == before


def test_a_mirror_has_the_rows_of_its_own_pipelines(world: MirrorHarness) -> None:
    mine, theirs = world.plan(2), world.plan(3, "other")
    assert world.cycle().rows == 2
    world.touch(*mine, *theirs)
    assert world.cycle().rows == 2
    world.require_equal()
    world.pipelines = ["main", "other"]
    assert world.cycle() == MirrorReport("test", 5, "more pipelines load there: other")
    world.require_equal()
    world.pipelines = ["main"]  # the other's file is broken, say
    world.touch(*mine, *theirs, priority=2)
    world.cycle(is_full=True)
    assert world.in_mirror().keys() == {*mine, *theirs}
