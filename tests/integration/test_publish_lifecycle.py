"""What a ledger's mirror needs of Postgres: any interleaving of transactions, rows from before, the least rights."""

from __future__ import annotations

import random
from typing import Any

import psycopg
import pytest

from include.sql.migrations import migrate
from tests.contract.mirror_harness import PLAN, MirrorHarness, postgres_mirror
from tests.integration.older_ledger import migrate_to

pytestmark = pytest.mark.integration
__all__ = ["postgres_mirror"]


@pytest.mark.parametrize("seed", range(4))
def test_after_every_cycle_the_mirror_is_the_ledger_whatever_is_open(postgres_mirror: MirrorHarness, seed: int) -> None:
    """Transactions begin, change rows (some in savepoints), commit late or never; cycles run in between."""
    world, chance = postgres_mirror, random.Random(seed)  # noqa: S311
    rows = world.plan(12)
    sessions = [world.session() for _ in range(4)]
    held: dict[int, set[int]] = {number: set() for number in range(len(sessions))}
    cycles = 0
    for step in range(160):
        number = chance.randrange(len(sessions))
        session, mine = sessions[number], held[number]
        taken = set().union(*held.values())
        action = chance.choice(["update", "update", "savepoint", "insert", "commit", "rollback", "cycle", "alone"])
        free = [row for row in rows if row not in taken - mine]
        if action == "cycle":
            world.cycle()
            world.require_equal()
            cycles += 1
        elif action == "alone" and (others := [row for row in rows if row not in taken]):
            world.touch(chance.choice(others), priority=step)
        elif action == "update" and free:
            row = chance.choice(free)
            session.execute("UPDATE pipeline_lifecycle SET priority = %s WHERE id = %s", (step, row))
            mine.add(row)
        elif action == "savepoint" and free:
            row = chance.choice(free)
            with session.transaction(force_rollback=chance.random() < 0.5):
                session.execute("UPDATE pipeline_lifecycle SET priority = %s WHERE id = %s", (-step, row))
            mine.add(row)
        elif action == "insert":
            session.execute(PLAN.encode(), {"pipeline": "main", "count": 1})
        elif action in ("commit", "rollback"):
            getattr(session, action)()
            mine.clear()
    for session in sessions:
        session.commit()
        session.close()
    world.cycle()
    world.require_equal()
    assert cycles > 5


def test_rows_from_before_the_migration_are_mirrored_and_keep_their_content(scratch_postgres_url: str) -> None:
    def connect() -> psycopg.Connection[Any]:
        return psycopg.connect(scratch_postgres_url)

    migrate_to(connect, "0005")
    with connect() as connection:
        connection.execute(PLAN.encode(), {"pipeline": "main", "count": 50})
        before = connection.execute("SELECT * FROM pipeline_lifecycle ORDER BY id").fetchall()
        file = connection.execute("SELECT pg_relation_filenode('pipeline_lifecycle')").fetchone()
    migrate(connect)
    with connect() as connection:
        after = connection.execute("SELECT * FROM pipeline_lifecycle ORDER BY id").fetchall()
        assert [row[: len(before[0])] for row in after] == before
        assert len({row[-1] for row in after}) == 1  # the migration's own transaction
        assert connection.execute("SELECT pg_relation_filenode('pipeline_lifecycle')").fetchone() == file  # no rewrite
        connection.execute("UPDATE pipeline_lifecycle SET changed_in = '1' WHERE id = 1")
        query = "SELECT changed_in = pg_current_xact_id() FROM pipeline_lifecycle WHERE id = 1"
        assert connection.execute(query).fetchone() == (True,)
