"""Half of a real Elasticsearch cluster dies by SIGKILL while a window is read: no shorter window is ever completed.

The index has a shard on each of two nodes and no replicas. The surviving node answers `_count` and histograms with HTTP
200 and its half of the documents; what the framework reads is complete or an error.
"""

from __future__ import annotations

import pickle
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from elasticsearch import Elasticsearch

from include.implementation_modules.elasticsearch import extract as elasticsearch_extract
from include.implementation_modules.elasticsearch.source import ElasticsearchSource
from include.pipeline_framework.core.records.ledger_row import LedgerRow
from include.pipeline_framework.core.records.row import Phase
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import IncompleteExtractError, TerminalError, TransientError
from include.pipeline_framework.tasks.cleanup_stale_locks import finish_run
from include.pipeline_framework.tasks.move_window import move_until
from include.pipeline_framework.tasks.pipeline import Pipeline
from include.pipeline_framework.tasks.planning import insert_windows
from include.pipeline_framework.tasks.pre_validation import pre_validate
from include.pipeline_framework.tasks.window_attempt import run_on_window
from tests.faults.cluster import Cluster, two_nodes
from tests.faults.results import record
from tests.integration import moving
from tests.integration.moving import WINDOW, actor, ids_at_source

pytestmark = pytest.mark.integration

ROWS = 400
PAGE = 25
HALVES = [TimeWindow(WINDOW.start, WINDOW.start + timedelta(minutes=30)),
          TimeWindow(WINDOW.start + timedelta(minutes=30), WINDOW.end)]  # fmt: skip
SHARDS_PROBLEM = r"shards|point in time is gone|Node not connected"

PIPELINE = (
    moving.COMMON
    + """
source: {{type: elasticsearch, connection_id: source_elasticsearch, index: {source_object}, page_size: 25}}
stage: {{type: object_storage, path: {directory}, file_rows: 150}}
target: {{type: postgres, connection_id: lifecycle_postgres, table: {table}, columns: {{n: integer}}}}
"""
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with two_nodes(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def client(cluster: Cluster) -> Iterator[Elasticsearch]:
    with Elasticsearch(cluster.first.url) as client:
        yield client


@pytest.fixture
def index(cluster: Cluster, client: Elasticsearch) -> Iterator[str]:
    """Two shards, one on each node, with every document of the window and two just outside."""
    cluster.make_whole()
    name = f"cluster-{uuid.uuid4().hex[:8]}"
    client.indices.create(
        index=name,
        settings={"number_of_shards": 2, "number_of_replicas": 0},
        mappings={"properties": {"@timestamp": {"type": "date"}}},
        wait_for_active_shards="all",
    )
    index_documents(client, name, range(-1, ROWS + 1))
    shards = cluster.shards(name)
    assert set(shards) == {"first", "second"}
    assert min(shards.values()) > 4 * PAGE, "each node has several pages"
    yield name
    cluster.make_whole()
    client.indices.delete(index=name)


def index_documents(client: Elasticsearch, index: str, numbers: range, **more: Any) -> None:
    lines: list[dict[str, Any]] = []
    for n in numbers:
        at = WINDOW.start + n * WINDOW.duration / ROWS
        lines += [{"index": {"_id": f"d{n}"}}, {"@timestamp": at.isoformat(), "n": n, **more}]
    assert not client.bulk(index=index, operations=lines, refresh=True)["errors"]


def source_of(client: Elasticsearch, index: str, **options: Any) -> ElasticsearchSource:
    return ElasticsearchSource(client, ElasticsearchSource.Options(index=index, **{"page_size": PAGE, **options}))


@dataclass
class Moved:
    """A pipeline that reads from the cluster, and its one planned row."""

    pipeline: Pipeline
    record_id: int
    ledger_url: str
    table: str
    stage: Path

    def claim(self, number: int) -> list[int]:
        with psycopg.connect(self.ledger_url, autocommit=True) as connection:
            connection.execute("UPDATE pipeline_lifecycle SET not_before_at = NULL")
        store = self.pipeline.store
        name = self.pipeline.config.source_object
        return [row.id for row in store.claim(name, actor(number), limit=5, ended_before=store.now())]

    def run(self, number: int, *, is_last_try: bool = True) -> None:
        """The four tasks of the run."""
        works: list[Callable[[Any], Any]] = [self.pre_validation]
        works += [lambda attempt, phase=phase: move_until(self.pipeline, attempt, phase) for phase in Phase]
        store, options = self.pipeline.store, {"expected": None, "max_retry_task": 3, "is_last_try": is_last_try}
        for work in works:
            run_on_window(store, self.record_id, actor(number), work, **options)

    def pre_validation(self, attempt: Any) -> Any:
        self.pipeline.target.prepare(self.pipeline.config.source_object)
        return pre_validate(self.pipeline, attempt)

    def row(self) -> LedgerRow:
        return self.pipeline.store.get(self.record_id)

    def staged_files(self) -> list[Path]:
        return [path for path in self.stage.rglob("*") if path.is_file()]

    def target_ids(self) -> Counter[str]:
        with psycopg.connect(self.ledger_url) as connection:
            return Counter(row[0] for row in connection.execute(f'SELECT _id FROM "{self.table}"'.encode()))


@pytest.fixture
def moved(
    cluster: Cluster, index: str, ledger_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Moved]:
    monkeypatch.setenv("AIRFLOW_CONN_SOURCE_ELASTICSEARCH", cluster.first.url.replace("http://", "elasticsearch://"))
    table = index.replace("-", "_")
    text = PIPELINE.format(source_object=index, table=table, directory=tmp_path / "stage")
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "moved.yaml").write_text(text)
    pipeline = moving.wire(tmp_path / "pipelines")
    insert_windows(pipeline.config, [WINDOW], pipeline.store, actor(0))
    (row,) = pipeline.store.find(source_object=index)
    yield Moved(pipeline, row.id, ledger_url, table, tmp_path / "stage")
    pipeline.store.close()  # type: ignore[attr-defined]


# --- the lie, and who believes it -------------------------------------------------------------------------------------


def test_elasticsearch_says_200_and_half_and_the_source_says_error(
    cluster: Cluster, client: Elasticsearch, index: str
) -> None:
    warm = source_of(client, index)
    assert warm.count(WINDOW) == ROWS
    half = cluster.shards(index)["first"]
    cluster.kill_second()

    status, counted = cluster.ask("GET", f"/{index}/_count")
    assert (status, counted["count"], counted["_shards"]["failed"]) == (200, half, 1)
    histogram = {"date_histogram": {"field": "@timestamp", "fixed_interval": "30m"}}
    status, answer = cluster.ask("POST", f"/{index}/_search", {"size": 0, "aggs": {"halves": histogram}})
    buckets = answer["aggregations"]["halves"]["buckets"]
    assert (status, answer["timed_out"], answer["_shards"]["failed"]) == (200, False, 1)
    assert sum(bucket["doc_count"] for bucket in buckets) == half < ROWS

    for source in (warm, source_of(client, index)):
        asks: list[Callable[[], Any]] = [
            lambda source=source: source.count(WINDOW),
            source.count_undated,
            lambda source=source: source.histogram(WINDOW, HALVES),
            lambda source=source: source.fingerprint(WINDOW),
        ]
        for ask in asks:
            with pytest.raises(TransientError, match=SHARDS_PROBLEM):
                ask()
    cluster.make_whole()
    assert warm.count(WINDOW) == sum(found.rows for found in warm.histogram(WINDOW, HALVES)) == ROWS
    record("cluster", "numbers asked of half a cluster (HTTP 200, half of the rows)", tried=8, survived=8,
           guard="allow_partial_search_results=false, _shards of every answer")  # fmt: skip


# --- killed while a window moves --------------------------------------------------------------------------------------


def before_the_count(moved: Moved, kill: Callable[[], None]) -> None:
    before(moved.pipeline.source, "count", kill)


def after_the_first_page(moved: Moved, kill: Callable[[], None]) -> None:
    write = moved.pipeline.stage.write

    class KilledExtract:
        def __init__(self, extract: Any) -> None:
            self.expected_rows, self.parts = extract.expected_rows, extract.parts
            self.time_unit = extract.time_unit
            self._extract = extract

        def pages(self) -> Iterator[Any]:
            for number, page in enumerate(self._extract.pages()):
                if number == 1:
                    kill()
                yield page

    def write_killed(request: Any, extract: Any, **options: Any) -> Any:
        assert extract.expected_rows == ROWS
        return write(request, KilledExtract(extract), **options)

    moved.pipeline.stage.write = write_killed  # type: ignore[method-assign]


def before_the_audits_count(moved: Moved, kill: Callable[[], None]) -> None:
    fingerprint = moved.pipeline.target.fingerprint

    def fingerprint_then_kill(*arguments: Any) -> Any:
        found = fingerprint(*arguments)
        if found.rows:  # loaded: this is the audit's, its source count is next
            kill()
        return found

    moved.pipeline.target.fingerprint = fingerprint_then_kill  # type: ignore[method-assign]


def before(adapter: Any, name: str, act: Callable[[], None]) -> None:
    method = getattr(adapter, name)

    def call(*arguments: Any) -> Any:
        act()
        return method(*arguments)

    setattr(adapter, name, call)


@pytest.mark.parametrize(
    ("moment", "phase", "rows_there", "is_last_try"),
    [
        (before_the_count, None, 0, False),
        (after_the_first_page, None, 0, True),
        (before_the_audits_count, "STAGE_TO_TARGET", ROWS, True),
    ],
    ids=["before the count", "after the first page", "before the audit's count"],
)
def test_a_node_killed_in_a_window(
    cluster: Cluster, moved: Moved, moment: Any, phase: str | None, rows_there: int, is_last_try: bool
) -> None:
    killed: list[int] = []

    def kill_once() -> None:
        if not killed:
            killed.append(1)
            cluster.kill_second()

    moved.claim(1)
    moment(moved, kill_once)
    with pytest.raises(TransientError, match=SHARDS_PROBLEM) as raised:
        moved.run(1, is_last_try=is_last_try)
    assert killed
    error = raised.value
    assert error.where and error.meaning and error.remedy
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301
    row = moved.row()
    assert row.phase_completed == phase
    assert str(error.what) in row.last_error
    if is_last_try:
        assert (row.pipeline_final_status, row.retry_attempt) == ("PENDING", 1)
        assert row.not_before_at > row.record_last_updated_at
    else:
        assert (row.pipeline_final_status, row.retry_attempt) == ("IN_PROGRESS", 0)
        assert row.dag_run_id == "run-1"
    assert row.heartbeat_at is None, "no lease runs on"
    assert moved.target_ids().total() == rows_there, "all or nothing"
    assert not moved.staged_files() if phase is None else moved.staged_files()

    # still half a cluster: trying again is no way around
    if is_last_try:
        assert moved.claim(2) == [moved.record_id]
    number = 2 if is_last_try else 1
    with pytest.raises(TransientError, match=SHARDS_PROBLEM):
        moved.run(number, is_last_try=False)
    assert moved.row().pipeline_final_status == "IN_PROGRESS"
    assert moved.target_ids().total() == rows_there

    cluster.make_whole()
    moved.run(number)
    assert finish_run(moved.pipeline.store, moved.pipeline.config, actor(number)) == {"COMPLETED": 1}
    at_source, at_target = ids_at_source(moved.pipeline), moved.target_ids()
    row = moved.row()
    assert (row.pipeline_final_status, row.source_count, row.target_count) == ("COMPLETED", ROWS, ROWS)
    record("cluster", f"a node of two killed {moment.__name__.replace('_', ' ')}", tried=2, survived=2,
           rows_lost=(at_source - at_target).total(), rows_doubled=(at_target - at_source).total(),
           guard=type(error).__name__)  # fmt: skip
    assert at_target == at_source and at_source.total() == ROWS


# --- what else only a real view can show ------------------------------------------------------------------------------


def pages_with(source: ElasticsearchSource, act: Callable[[], None]) -> list[Any]:
    """Every document; something happens between the first page and the others."""
    found: list[Any] = []
    with source.extract(WINDOW) as extract:
        for number, page in enumerate(extract.pages()):
            if number == 0:
                act()
            found += page
    return found


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elasticsearch_extract, "_FIRST_PAGE", 7)


def test_what_arrives_changes_or_goes_during_the_read_is_not_in_this_extract(client: Elasticsearch, index: str) -> None:
    source = source_of(client, index)

    def change_everything() -> None:
        index_documents(client, index, range(ROWS // 2, ROWS), changed=True)
        late = {"@timestamp": (WINDOW.start + timedelta(minutes=1)).isoformat(), "n": -7}
        for number in range(50):
            client.index(index=index, id=f"late{number}", document=late)
        client.delete(index=index, id="d3")
        client.indices.refresh(index=index)
        client.indices.forcemerge(index=index, max_num_segments=1)

    found = pages_with(source, change_everything)
    assert Counter(document.id for document in found) == Counter(f"d{n}" for n in range(ROWS))
    assert not any(b"changed" in document.body for document in found)
    assert source.count(WINDOW) == ROWS + 49, "the audit's fresh count sees them"
    again = pages_with(source, lambda: None)
    assert len(again) == ROWS + 49
    assert sum(b"changed" in document.body for document in again) == ROWS // 2


def test_a_mapping_that_grows_in_the_middle_of_an_extract(client: Elasticsearch, index: str) -> None:
    source = source_of(client, index)

    def change_mapping() -> None:
        client.indices.put_mapping(index=index, properties={"new": {"type": "keyword"}, "n": {"type": "long"}})
        index_documents(client, index, range(0, 50), new="field", other={"deep": {"x": 2}})

    found = pages_with(source, change_mapping)
    assert Counter(document.id for document in found) == Counter(f"d{n}" for n in range(ROWS))
    assert not any(b'"new"' in document.body for document in found)
    assert sum(b'"new"' in document.body for document in pages_with(source, lambda: None)) == 50


def test_an_alias_that_moves_to_another_index_in_the_middle_of_an_extract(client: Elasticsearch, index: str) -> None:
    other, alias = f"{index}-other", f"{index}-alias"
    client.indices.create(
        index=other,
        settings={"number_of_shards": 1, "number_of_replicas": 0},
        mappings={"properties": {"@timestamp": {"type": "keyword"}}},
    )
    try:
        client.indices.put_alias(index=index, name=alias)
        moves = [{"remove": {"index": index, "alias": alias}}, {"add": {"index": other, "alias": alias}}]
        found = pages_with(source_of(client, alias), lambda: client.indices.update_aliases(actions=moves) and None)
        assert Counter(document.id for document in found) == Counter(f"d{n}" for n in range(ROWS))
        with pytest.raises(TerminalError, match="mapped as keyword"):
            source_of(client, alias).count(WINDOW)
    finally:
        client.indices.delete(index=other)


@pytest.mark.usefixtures("small_pages")
def test_a_view_that_expires_in_the_middle_of_an_extract(cluster: Cluster, client: Elasticsearch, index: str) -> None:
    def wait_for_expiry() -> None:
        cluster.wait("the view's end", lambda: cluster.open_views() == 0)

    source = source_of(client, index, keep_alive="1s", page_size=7, slices=2)
    with pytest.raises(IncompleteExtractError, match="point in time is gone") as raised:
        pages_with(source, wait_for_expiry)
    assert "keep_alive" in raised.value.remedy
    assert len(pages_with(source_of(client, index), lambda: None)) == ROWS


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("slices", [1, 3])
def test_equal_times_over_all_page_borders(client: Elasticsearch, index: str, slices: int) -> None:
    same = [f"same{n}" for n in range(200)]
    noon = WINDOW.start + timedelta(minutes=30)
    lines = [line for key in same for line in ({"index": {"_id": key}}, {"@timestamp": noon.isoformat(), "n": 0})]
    assert not client.bulk(index=index, operations=lines, refresh=True)["errors"]
    found = pages_with(source_of(client, index, page_size=7, slices=slices), lambda: None)
    assert Counter(document.id for document in found) == Counter([*same, *(f"d{n}" for n in range(ROWS))])
    instant = TimeWindow(noon, noon + timedelta(milliseconds=1))
    with source_of(client, index, page_size=7, slices=slices).extract(instant) as extract:
        exact = [document.id for page in extract.pages() for document in page]
    assert Counter(exact) == Counter([*same, f"d{ROWS // 2}"])
