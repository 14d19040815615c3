"""Several sources in one file: what they share, who they are, what is wrong with one of them or with all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from include.implementation_modules import registry
from include.pipeline_framework.config import file_sources
from include.pipeline_framework.config.loader import LoadedPipelines, load_all_pipelines, load_pipeline, validate_all
from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.errors import ConfigurationError
from local_stack.home import REPO
from tests.unit.config.doubles import good, options_model, write


def shared(**changes: Any) -> dict[str, Any]:
    return good(source_object=None, **changes)


def listed(directory: Path, *items: Any, name: str = "many", **changes: Any) -> LoadedPipelines:
    """Write a file with a list and load everything."""
    write(directory, name, {**shared(**changes), "sources": list(items)})
    return load_all_pipelines(directory, options_model=options_model)


def problems(directory: Path) -> list[str]:
    """Every problem without its directory."""
    found = validate_all(directory, options_model=options_model)
    return [str(problem).replace(f"{directory}/", "") for problem in found]


ONE, TWO = {"source_object": "one"}, {"source_object": "two"}


class TestMerging:
    def test_an_item_is_a_pipeline_over_what_is_shared_over_the_defaults(self, tmp_path: Path) -> None:
        write(tmp_path, "defaults", {"priority": 7, "max_retry_task": 9, "late_data_tolerance": {"rows": 1}})
        loaded = listed(
            tmp_path,
            {**ONE, "granularity": "30m", "target": {"table": "ONE"}, "late_data_tolerance": {"percent": 2}},
            TWO,
            max_retry_task=5,
        )
        assert loaded.errors == {}
        one, two = loaded.configs["one"], loaded.configs["two"]
        assert (one.priority, one.max_retry_task, one.granularity) == (7, 5, "30m")
        assert one.late_data_tolerance.model_dump() == {"rows": 1, "percent": 2}
        assert one.target.options == {"table": "ONE", "columns": {"year": "integer"}}
        assert one.target_object == "ONE"
        assert (two.granularity, two.target_object, two.dag_id) == ("1h", "EVENTS", "data_pipeline_two")

    def test_a_section_of_another_type_takes_nothing_of_the_shared_one(self, tmp_path: Path) -> None:
        loaded = listed(tmp_path, {**ONE, "source": {"type": "lenient", "size": 3}}, TWO)
        assert loaded.configs["one"].source.options == {"size": 3}
        assert loaded.configs["two"].source.options == {"index": "events"}

    @pytest.mark.parametrize("key", ["granularity", "query_window_delta_label"])
    def test_either_spelling_of_the_granularity_replaces_the_shared_one(self, tmp_path: Path, key: str) -> None:
        assert listed(tmp_path, {**ONE, key: "2h"}).configs["one"].granularity == "2h"

    def test_it_is_the_same_pipeline_as_in_a_file_of_its_own(self, tmp_path: Path) -> None:
        alone, together = tmp_path / "alone", tmp_path / "together"
        alone.mkdir(), together.mkdir()
        write(alone, "one", {**shared(), **ONE})
        config = listed(together, ONE, TWO).configs["one"]
        assert config == load_pipeline("one", alone)
        assert config.config_hash == load_pipeline("one", alone).config_hash

    def test_the_root_of_a_file_may_be_the_list(self, tmp_path: Path) -> None:
        write(tmp_path, "defaults", shared())
        write(tmp_path, "many", "# all of the shop\n---\n" + yaml.safe_dump([ONE, TWO]))
        assert set(load_all_pipelines(tmp_path).configs) == {"one", "two"}
        assert load_pipeline("two", tmp_path).source_object == "two"

    def test_the_page_s_example_is_valid(self, tmp_path: Path) -> None:
        page = (REPO / "docs/configuration.md").read_text(encoding="utf-8")
        example = page.split("```yaml\n")[1].split("```")[0]
        write(tmp_path, "defaults", (REPO / "include/pipelines/defaults.yaml").read_text(encoding="utf-8"))
        write(tmp_path, "shop", example)
        loaded = load_all_pipelines(tmp_path, options_model=registry.options_model)
        assert loaded.errors == {}
        assert set(loaded.configs) == {"shop_orders", "shop_returns", "clicks"}
        assert loaded.configs["shop_returns"].granularity == "1d"


class TestIds:
    def test_the_source_object_is_the_id_unless_there_is_another(self, tmp_path: Path) -> None:
        loaded = listed(tmp_path, {"source_object": "Web.Clicks", "pipeline_id": "clicks"}, TWO)
        assert {name: config.source_object for name, config in loaded.configs.items()} == {
            "clicks": "Web.Clicks",
            "two": "two",
        }
        assert loaded.configs["clicks"].pipeline_id == "clicks"

    @pytest.mark.parametrize(
        ("item", "says"),
        [
            ({"source_object": "Web-1"}, "sources[1].pipeline_id: is missing: source_object 'Web-1' can't be the id"),
            ({"source_object": "defaults"}, "sources[1].pipeline_id: is missing: source_object 'defaults' can't be"),
            ({"source_object": "x", "pipeline_id": "A"}, "sources[1].pipeline_id: 'A': can't be an id: a small letter"),
            ({"source_object": "x", "pipeline_id": 7}, "sources[1].pipeline_id: 7: can't be an id"),
            ({"granularity": "1d"}, "sources[1].source_object: is missing; every source of a list has its own"),
            ({"pipeline_id": "x"}, "sources[1].source_object: is missing"),
            ("x", "sources[1]: 'x': a source must be a mapping of its own keys"),
            (None, "sources[1]: None: a source must be a mapping"),
            ([TWO], "sources[1]: a list: a source must be a mapping"),
            ({"source_object": "x", "sources": [TWO]}, "sources[1].sources: a source can't have sources of its own"),
        ],
    )
    def test_a_source_that_says_not_who_it_is_stops_no_other(self, tmp_path: Path, item: Any, says: str) -> None:
        loaded = listed(tmp_path, ONE, item, TWO)
        assert set(loaded.configs) == {"one", "two"}
        assert len(loaded.errors) == 1
        (found,) = problems(tmp_path)
        assert found.startswith("many.yaml:")
        assert says in found
        for name in ("one", "two"):
            assert load_pipeline(name, tmp_path, options_model=options_model) == loaded.configs[name]


class TestProblems:
    def test_a_wrong_source_is_named_with_its_line_and_stops_no_other(self, tmp_path: Path) -> None:
        loaded = listed(tmp_path, ONE, {**TWO, "timezone": "X/Y", "granularty": "1h", "source": {"indx": "a"}})
        assert set(loaded.configs) == {"one"}
        assert set(loaded.errors) == {"two"}
        lines = (tmp_path / "many.yaml").read_text().splitlines()
        found = problems(tmp_path)
        assert [problem.split(": ")[1] for problem in found] == [
            "sources[1].timezone",
            "sources[1].granularty",
            "sources[1].source.indx",
        ]
        for problem, key in zip(found, ("timezone", "granularty", "indx"), strict=True):
            line = int(problem.split(":")[1])
            assert key in lines[line - 1]
        with pytest.raises(ConfigurationError, match=r"sources\[1\].timezone"):
            load_pipeline("two", tmp_path, options_model=options_model)

    def test_problems_come_in_the_order_of_the_file(self, tmp_path: Path) -> None:
        wrong = [{"source_object": name, "priority": "x"} for name in ("zebra", "ant", "bee")]
        listed(tmp_path, *wrong, timezone="X/Y")
        lines = [int(problem.split(":")[1]) for problem in problems(tmp_path)]
        assert lines == sorted(lines)
        assert len(lines) == 4

    def test_what_is_missing_is_placed_at_the_item(self, tmp_path: Path) -> None:
        listed(tmp_path, ONE, TWO, granularity=None)
        lines = (tmp_path / "many.yaml").read_text().splitlines()
        at = [lines.index(f"- source_object: {name}") + 1 for name in ("one", "two")]
        assert problems(tmp_path) == [
            f"many.yaml:{line}: sources[{index}].granularity: is missing; give it here or in defaults.yaml"
            for index, line in enumerate(at)
        ]

    def test_what_is_wrong_in_the_shared_part_is_told_once(self, tmp_path: Path) -> None:
        loaded = listed(tmp_path, ONE, {**TWO, "timezone": "UTC"}, {"source_object": "three"}, timezone="X/Y")
        assert set(loaded.configs) == {"two"}  # it does not have what is wrong
        assert set(loaded.errors) == {"many.yaml"}
        (found,) = problems(tmp_path)
        assert ": timezone: 'X/Y'" in found
        assert load_pipeline("two", tmp_path).timezone == "UTC"
        with pytest.raises(ConfigurationError, match="timezone: 'X/Y'"):
            load_pipeline("three", tmp_path)

    def test_a_wrong_option_of_the_shared_part_loads_none_of_its_sources(self, tmp_path: Path) -> None:
        loaded = listed(tmp_path, ONE, {**TWO, "source": {"type": "lenient", "size": 1}}, source={"indx": "x"})
        assert set(loaded.configs) == {"two"}
        assert set(loaded.errors) == {"many.yaml"}
        (found,) = problems(tmp_path)
        assert ": source.indx: 'x': unknown key; did you mean index?" in found

    def test_what_is_wrong_in_the_defaults_is_told_once_and_loads_none(self, tmp_path: Path) -> None:
        write(tmp_path, "defaults", {"priority": "high"})
        loaded = listed(tmp_path, ONE, TWO)
        assert loaded.configs == {}
        assert set(loaded.errors) == {"one", "two"}
        (found,) = problems(tmp_path)
        assert found.startswith("defaults.yaml:1: priority")

    @pytest.mark.parametrize("key", ["source_object", "pipeline_id"])
    def test_the_shared_part_can_not_say_who_a_source_is(self, tmp_path: Path, key: str) -> None:
        write(tmp_path, "many", {key: "x", **shared(), "sources": [ONE, TWO]})
        loaded = load_all_pipelines(tmp_path)
        assert loaded.configs == {}
        assert set(loaded.errors) == {"many.yaml"}
        assert problems(tmp_path) == [f"many.yaml:1: {key}: belongs to one source; give it in its item of sources"]
        with pytest.raises(ConfigurationError, match="belongs to one source"):
            load_pipeline("one", tmp_path)

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("sources: []", "many.yaml:1: sources: the list has no source"),
            ("sources:", "many.yaml:1: sources: the list has no source"),
            ("[]", "many.yaml: the list has no source"),
            ("sources: {a: 1}", "many.yaml:1: sources: a mapping: must be a list of mappings, one for each source"),
            ("sources: one", "many.yaml:1: sources: 'one': must be a list of mappings"),
            ("sources:\n- source_object: one\n  a: [", "many.yaml:4:1: YAML syntax"),
            ("a: 1\na: 2\nsources:\n- source_object: one", "many.yaml:2: a: duplicate key"),
            ("password: x\nsources:\n- source_object: one", "many.yaml:1: password: looks like a secret"),
        ],
    )
    def test_what_concerns_all_of_a_file_is_one_error(self, tmp_path: Path, text: str, says: str) -> None:
        write(tmp_path, "defaults", shared())
        write(tmp_path, "good", good(source_object="good"))
        write(tmp_path, "many", text)
        loaded = load_all_pipelines(tmp_path, options_model=options_model)
        assert set(loaded.configs) == {"good"}
        assert len(loaded.errors) == 1
        found = problems(tmp_path)
        assert any(problem.startswith(says) for problem in found)
        if "one" in text and "- " in text:
            with pytest.raises(ConfigurationError, match=r"many\.yaml"):
                load_pipeline("one", tmp_path)

    def test_a_key_that_comes_twice_in_an_item_is_that_item_s_matter(self, tmp_path: Path) -> None:
        write(tmp_path, "defaults", shared())
        write(tmp_path, "many", "sources:\n- source_object: one\n- source_object: two\n  priority: 1\n  priority: 2\n")
        loaded = load_all_pipelines(tmp_path)
        assert set(loaded.configs) == {"one"}
        assert problems(tmp_path) == [
            "many.yaml:5: sources[1].priority: duplicate key, first given in line 4; keep one"
        ]

    def test_a_secret_in_an_item_is_never_shown(self, tmp_path: Path) -> None:
        listed(tmp_path, ONE, {**TWO, "source": {"password": "hunter2"}})
        (found,) = problems(tmp_path)
        assert "sources[1].source.password: looks like a secret" in found
        assert "hunter2" not in found

    def test_the_defaults_have_no_sources(self, tmp_path: Path) -> None:
        write(tmp_path, "defaults", {"sources": [ONE]})
        write(tmp_path, "events", good())
        listed(tmp_path, TWO)
        assert problems(tmp_path) == [
            "defaults.yaml:1: sources: belongs into a pipeline file; defaults.yaml is beneath all of them"
        ]
        write(tmp_path, "defaults", [ONE])  # type: ignore[arg-type]
        assert problems(tmp_path) == ["defaults.yaml:1: the file must be a mapping of keys to values"]

    def test_a_function_that_can_not_be_imported_is_placed_in_its_item_or_in_what_is_shared(
        self, tmp_path: Path
    ) -> None:
        listed(
            tmp_path,
            {**ONE, "derived": {"key_x": {"callable": "json:no_such"}}},
            TWO,
            derived={"key_y": {"callable": "no_x:y"}},
        )
        assert [problem.split(": ")[1] for problem in problems(tmp_path)] == [
            "derived.key_y.callable",
            "sources[0].derived.key_x.callable",
        ]


class TestTwice:
    def test_a_source_object_that_comes_twice_is_refused_at_both_places(self, tmp_path: Path) -> None:
        loaded = listed(tmp_path, {**ONE, "pipeline_id": "a"}, {**ONE, "pipeline_id": "b"}, TWO)
        assert set(loaded.configs) == {"two"}
        assert "(sources[1]); two pipelines would claim" in str(loaded.errors["a"])
        assert "(sources[0]); two pipelines would claim" in str(loaded.errors["b"])
        for name in ("a", "b"):
            with pytest.raises(ConfigurationError, match=r"source_object: 'one': also in .*many.yaml:\d+ \(sources"):
                load_pipeline(name, tmp_path)

    def test_an_id_that_comes_twice_is_refused_at_both_places(self, tmp_path: Path) -> None:
        listed(tmp_path, {**ONE, "pipeline_id": "a"}, {**TWO, "pipeline_id": "a"})
        found = problems(tmp_path)
        assert len(found) == 2
        assert "sources[0].pipeline_id: 'a': also in " in found[0]
        assert "sources[1].pipeline_id: 'a': also in " in found[1]
        with pytest.raises(ConfigurationError, match="an id names one pipeline"):
            load_pipeline("a", tmp_path)

    def test_the_same_in_two_files(self, tmp_path: Path) -> None:
        listed(tmp_path, ONE, TWO)
        write(tmp_path, "one", good(source_object="other"))
        write(tmp_path, "three", good(source_object="two"))
        loaded = load_all_pipelines(tmp_path, options_model=options_model)
        assert loaded.configs == {}
        assert set(loaded.errors) == {"one", "two", "three"}
        assert "many.yaml:" in str(loaded.errors["three"])
        assert "three.yaml" in str(loaded.errors["two"])
        for name, other in (("one", "many.yaml"), ("two", "three.yaml"), ("three", "many.yaml")):
            with pytest.raises(ConfigurationError, match=f"also in .*{other}"):
                load_pipeline(name, tmp_path)

    def test_only_the_shape_of_a_dag_is_built_without_a_look_at_the_other_files(self, tmp_path: Path) -> None:
        write(tmp_path, "one", good(source_object="same"))
        write(tmp_path, "two", good(source_object="same"))
        assert load_pipeline("one", tmp_path, is_alone=True).source_object == "same"
        with pytest.raises(ConfigurationError, match=r"also in .*two\.yaml"):
            load_pipeline("one", tmp_path)

    def test_a_file_that_has_the_pipelines_name_is_read_alone(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("one", "two", "three"):
            write(tmp_path, name, good(source_object=name))
        opened: list[str] = []
        monkeypatch.setattr(Path, "read_bytes", lambda path: opened.append(path.name))
        assert load_pipeline("one", tmp_path, is_alone=True).source_object == "one"
        assert opened == []

    def test_one_item_twice_is_told_once_per_place(self, tmp_path: Path) -> None:
        listed(tmp_path, ONE, ONE)
        found = problems(tmp_path)
        assert len(found) == 2
        assert all("].source_object: 'one': also in " in problem for problem in found)

    def test_an_id_may_be_the_name_of_its_own_file(self, tmp_path: Path) -> None:
        assert set(listed(tmp_path, ONE, TWO, name="one").configs) == {"one", "two"}
        assert load_pipeline("one", tmp_path).source_object == "one"


class TestFinding:
    def test_only_files_that_may_have_it_are_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        listed(tmp_path, ONE, TWO)
        write(tmp_path, "other", good(source_object="other", description="one of many"))
        write(tmp_path, "shop", {**shared(), "sources": [{"source_object": "three"}]})
        read: list[str] = []
        original = file_sources.read_yaml
        monkeypatch.setattr(
            file_sources, "read_yaml", lambda path, **options: [read.append(path.name), original(path, **options)][1]
        )
        assert load_pipeline("one", tmp_path).source_object == "one"
        assert read == ["many.yaml", "other.yaml"]  # the second holds the text of the source_object
        read.clear()
        assert load_pipeline("other", tmp_path).source_object == "other"
        assert read == ["other.yaml"]

    def test_a_file_that_only_speaks_of_it_is_not_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        listed(tmp_path, {"source_object": "Shop.One", "pipeline_id": "one"}, TWO)
        write(tmp_path, "aaa", good(source_object="other", description="one of a few"))
        read: list[str] = []
        original = file_sources.read_yaml
        monkeypatch.setattr(
            file_sources, "read_yaml", lambda path, **options: [read.append(path.name), original(path, **options)][1]
        )
        assert load_pipeline("one", tmp_path).source_object == "Shop.One"
        assert read == ["many.yaml"]

    def test_an_unknown_one_names_those_of_lists_too(self, tmp_path: Path) -> None:
        listed(tmp_path, {"source_object": "orders"}, TWO)
        with pytest.raises(ConfigurationError, match="there is no pipeline 'order'; did you mean orders"):
            load_pipeline("order", tmp_path)
        with pytest.raises(ConfigurationError, match="there is no pipeline 'many'"):
            load_pipeline("many", tmp_path)

    def test_a_file_by_its_name_that_is_a_list_of_nothing_good(self, tmp_path: Path) -> None:
        write(tmp_path, "broken", "- a\n- b\n")
        with pytest.raises(ConfigurationError, match=r"broken.yaml:1: \[0\]: 'a': a source must be a mapping"):
            load_pipeline("broken", tmp_path)

    def test_a_hundred_sources_are_a_hundred_pipelines(self, tmp_path: Path) -> None:
        items = [{"source_object": f"s{number}", "priority": number} for number in range(100)]
        loaded = listed(tmp_path, *items)
        assert len(loaded.configs) == 100
        assert all(isinstance(config, PipelineConfig) for config in loaded.configs.values())
        assert load_pipeline("s99", tmp_path).priority == 99
