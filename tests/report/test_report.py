"""The report before any browser sees it: what a header and an answer become, and what stands in the file."""

import base64
import json
import math
import re
from pathlib import Path
from typing import Any, cast

import duckdb
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import seas_data as sd
from seas_data import report
from seas_data.errors import SeasDataError
from seas_data.query import headline, library, sql
from seas_data.query.version import Version
from seas_data.report import charts_from_sql, cluster_map, flow, html_page, overview, placed_sample, sections_from_sql
from seas_data.resources import folder
from tests.conftest import examples
from tests.query.frames import store, table
from tests.test_cli import refused, said


def query(chart: str) -> library.Query:
    return library.parse("any", f"-- title: A\n-- question: What?\n-- chart: {chart}\nselect 1")


def drawn(chart: str, **columns: Any) -> charts_from_sql.ChartSpec:
    drawing = charts_from_sql.draw_chart(query(chart), pl.DataFrame(columns))
    assert drawing is not None
    return drawing


def layers(drawing: charts_from_sql.ChartSpec) -> list[dict[str, Any]]:
    spec = drawing.spec.get("spec", drawing.spec)
    return list(spec["layer"])


@pytest.fixture(scope="module")
def version(made: Path) -> Version:
    return sd.open(made).version()


@pytest.fixture(scope="module")
def html(version: Version) -> str:
    return report.render_report(version)


def test_counts_are_stacked_and_rates_stand_side_by_side() -> None:
    names = {"y": ["a", "a", "b"], "c": ["r", "s", "r"]}
    (counts,) = layers(drawn("bar x=n y=y color=c", n=[1, 2, 3], **names))
    assert counts["encoding"]["x"]["stack"] == "zero"
    assert "yOffset" not in counts["encoding"]
    bars, rule = layers(
        drawn("bar x=v y=y color=c low=l high=h", v=[0.1, 0.2, 0.3], l=[0.0, 0.1, 0.2], h=[0.2, 0.3, 0.4], **names)
    )
    assert bars["encoding"]["x"]["stack"] is None
    assert bars["encoding"]["yOffset"]["field"] == "c4" == rule["encoding"]["yOffset"]["field"]
    assert (rule["encoding"]["x"]["field"], rule["encoding"]["x2"]["field"]) == ("c1", "c2")


def test_rows_on_one_spot_get_a_panel_each() -> None:
    drawing = drawn("bar x=v y=y", v=[0.5, 0.6, 0.7, 0.8], y=["a", "b", "a", "b"], judge=["one", "one", "two", "two"])
    assert drawing.spec["facet"]["field"] == "c2"
    assert "facet" not in drawn("bar x=v y=y", v=[0.5, 0.6], y=["a", "b"], judge=["one", "two"]).spec


def test_many_lines_become_panels() -> None:
    rows = {"i": [1, 2] * 9, "v": [0.1] * 18, "t": [f"t{number // 2}" for number in range(18)]}
    drawing = drawn("line x=i y=v color=t", **rows)
    assert drawing.spec["facet"]["field"] == "c2"
    few = drawn("line x=i y=v color=t", **{name: values[:6] for name, values in rows.items()})
    assert "facet" not in few.spec


def test_points_of_a_plane_have_whiskers_and_names() -> None:
    parts = layers(
        drawn("point x=a y=b color=t", t=["T0", "T1"], a=[0.1, 0.2], b=[0.3, 0.4], a_low=[0.0, 0.1], a_high=[0.2, 0.3])
    )
    assert [part["mark"]["type"] for part in parts] == ["rule", "point", "text"]
    assert (parts[0]["encoding"]["x"]["field"], parts[0]["encoding"]["x2"]["field"]) == ("c3", "c4")


def test_a_heat_map_writes_its_figures_and_intervals() -> None:
    drawing = drawn(
        "heatmap x=t y=r color=v low=l high=h", r=["R0", "R0"], t=["T0", "T1"], v=[0.5, 0.2], l=[0.4, 0.1], h=[0.6, 0.3]
    )
    assert [part["mark"]["type"] for part in layers(drawing)] == ["rect", "text", "text"]


@pytest.mark.parametrize(("name", "angle"), [("T1", 0), ("Session Completion", -45)])
def test_names_that_are_wider_than_their_column_are_written_aslant(name: str, angle: int) -> None:
    drawing = drawn(
        "heatmap x=t y=r color=v low=l high=h", r=["R0", "R0"], t=["T0", name], v=[0.5, 0.2], l=[0.4, 0.1], h=[0.6, 0.3]
    )
    assert layers(drawing)[0]["encoding"]["x"]["axis"]["labelAngle"] == angle


@pytest.mark.parametrize(
    ("chart", "note"),
    [
        ("bar x=gone y=y", "No chart: the result has no column for gone."),
        ("bar x=v", "No chart: the result has no column for x or y."),
        ("bar x=nothing y=y", "No chart: the result has no values"),
        ("bar x=y y=other", "No chart: the result has no values"),
        ("heatmap x=y y=other", "No chart: the result has no values"),
    ],
)
def test_what_cannot_be_drawn_says_so(chart: str, note: str) -> None:
    empty = pl.Series([None, None], dtype=pl.Float64)
    drawing = drawn(chart, v=[0.5, 0.6], y=["a", "b"], other=["c", "d"], nothing=empty)
    assert not drawing.spec
    assert str(drawing.note).startswith(note)


def test_only_the_first_categories_are_drawn_and_nulls_are_not() -> None:
    drawing = drawn("bar x=v y=y", v=[*range(50), None], y=[f"n{number}" for number in range(51)])
    assert drawing.rows == list(range(40))
    assert drawing.note == "Only the first 40 of 50 values of y are drawn."


NAMES = st.text(min_size=1, max_size=12)


@examples(15)
@given(
    st.sampled_from([mark for mark in library.MARKS if mark != "table"]),
    st.lists(st.tuples(NAMES, NAMES, st.floats(-2, 2) | st.none(), st.integers(0, 9)), min_size=1, max_size=12),
)
def test_no_word_of_the_data_stands_in_a_specification(
    mark: str, rows: list[tuple[str, str, float | None, int]]
) -> None:
    data = pl.DataFrame(
        {
            "a": [f"~{row[0]}" for row in rows],
            "b": [f"~{row[1]}" for row in rows],
            "v": [row[2] for row in rows],
            "iteration": [row[3] for row in rows],
        },
        schema={"a": pl.String, "b": pl.String, "v": pl.Float64, "iteration": pl.Int64},
    )
    for channels in ("x=v y=a color=b", "x=a y=b color=v", "x=iteration y=v color=a row=b", "x=v y=iteration"):
        drawing = charts_from_sql.draw_chart(query(f"{mark} {channels}"), data)
        assert drawing is not None
        assert "~" not in json.dumps(drawing.spec).replace(",.4~f", "")


@pytest.fixture(scope="module")
def results(version: Version) -> list[tuple[library.Query, pl.DataFrame]]:
    """The sections of the report: each query, in every variant, with its result."""
    listed = sections_from_sql.order_queries(library.load(folder("sql")))
    frames = sql.run_all(version.paths(), [(query.sql, query.values(list(given))) for query, given in listed])
    return [(query, frame) for (query, _), frame in zip(listed, frames, strict=True)]


@pytest.mark.slow
def test_materialised_tables_and_views_give_the_same_results(
    version: Version, results: list[tuple[library.Query, pl.DataFrame]], monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = sections_from_sql.order_queries(library.load(folder("sql")))
    queries = [(query.sql, query.values(list(given))) for query, given in listed][
        ::6
    ]  # the library's own tests ask all
    monkeypatch.setattr(sql, "_SMALL_BYTES", 0)
    for (_, frame), plain in zip(results[::6], sql.run_all(version.paths(), queries), strict=True):
        assert_frame_equal(frame, plain)


@pytest.mark.slow
def test_every_chart_of_the_library_can_be_drawn(results: list[tuple[library.Query, pl.DataFrame]]) -> None:
    for each, answer in results:
        drawing = charts_from_sql.draw_chart(each, answer)
        if each.chart.mark != "table" and answer.height:
            assert drawing is not None
            assert drawing.spec, (each.name, drawing.note)


@pytest.mark.slow
def test_no_two_rows_of_a_chart_lie_on_one_spot_of_a_panel(
    results: list[tuple[library.Query, pl.DataFrame]],
) -> None:
    faults = []
    for each, answer in results:
        drawing = charts_from_sql.draw_chart(each, answer)
        if drawing is None or not drawing.spec:
            continue
        mark = next(layer for layer in layers(drawing) if layer["mark"]["type"] in (each.chart.mark, "circle", "rect"))
        told = mark["encoding"]
        stacked = any(told[channel].get("stack") == "zero" for channel in ("x", "y"))
        channels = ["x", "y", "xOffset", "yOffset", *(["color"] if each.chart.mark == "line" else [])]
        named = [told[name]["field"] for name in channels if told.get(name, {}).get("type") in ("nominal", "ordinal")]
        if stacked or not named:
            continue
        facet = drawing.spec.get("facet", {})
        panels = [facet] if "field" in facet else list(facet.values())
        places = [int(field.removeprefix("c")) for field in {*named, *(panel["field"] for panel in panels)}]
        shown = answer if drawing.rows is None else answer[drawing.rows]
        if shown.select(shown.columns[place] for place in places).is_duplicated().any():
            faults.append(each.name)
    assert not faults


@examples(60)
@given(
    st.recursive(
        st.text() | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_json_in_the_page_says_the_same_and_can_end_no_element(content: Any) -> None:
    text = str(html_page.safe_json(content))
    assert json.loads(text) == content
    assert not re.search(r"[<>&\u2028\u2029]", text)


def test_the_page_has_no_place_for_a_script_of_others(html: str) -> None:
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)
    assert policy
    assert "unsafe" not in policy[1]
    assert policy[1].startswith("default-src 'none'; script-src 'sha256-")
    assert not re.search(
        r"<[^>]+\s(on\w+|style|src)=", html.split("<body>")[1].split('<script type="application/json"')[0]
    )
    assert not re.search(r"<(link|iframe|object|embed|base|img|form)\\b", html.split("<script>")[0])


@pytest.mark.slow
def test_the_same_version_gives_the_same_bytes(version: Version, html: str) -> None:
    assert report.render_report(version) == html


def test_it_holds_ids_and_no_prompt(version: Version, html: str) -> None:
    texts = [
        *version.table("prompts")["text"],
        *version.table("attacks")["text"],
        *version.table("responses")["text"].drop_nulls(),
    ]
    known = json.dumps(texts, ensure_ascii=False)
    assert len(known) > 10_000
    assert not [text for text in {*texts} if len(text) > 20 and text in html]
    assert "CONTAINS PROMPT TEXT" not in html


@pytest.mark.slow
def test_with_text_it_says_so_and_holds_no_response(version: Version) -> None:
    marked = report.render_report(version, with_text=True)
    assert "CONTAINS PROMPT TEXT" in marked.split("</title>")[0]
    assert any(text in marked for text in version.table("kept")["text"])
    assert not [text for text in version.table("responses")["text"].drop_nulls() if len(text) > 20 and text in marked]


@pytest.mark.slow
def test_a_new_file_is_a_new_section_and_a_wrong_one_costs_no_other(
    version: Version, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = "-- title: {}\n-- question: Why?\n-- chart: bar x=n y=kind\n"
    (tmp_path / "mine.sql").write_text(
        head.format("My own") + "select kind, count(*) as n from kept group by all order by 1"
    )
    (tmp_path / "wrong.sql").write_text(head.format("Broken") + "select nothing from nowhere")
    (tmp_path / "empty.sql").write_text(head.format("Nobody") + "select kind, 1 as n from kept where false")
    monkeypatch.setattr(report, "folder", lambda _: tmp_path)
    html = report.render_report(version)
    assert 'id="q-mine"' in html
    assert 'data-chart="q-mine"' in html
    listed = html.split('id="nothing"')[1].split("</section>")[0]
    assert "Nobody" in listed
    assert "Broken" in listed
    assert "nowhere does not exist" in listed
    assert 'id="q-wrong"' not in html


def test_the_curves_by_type_are_asked_for(html: str) -> None:
    assert "--param by=type" in html


def test_every_query_stands_under_a_topic_of_its_own_choice() -> None:
    assert tuple(sections_from_sql.TITLES) == library.TOPICS
    topics = {query.name: query.topic for query in library.load(folder("sql")).values()}
    assert "more" not in topics.values()
    assert (topics["contrast-pairs"], topics["response-lengths"]) == ("curation", "cost")


def test_a_table_says_how_much_of_it_there_is() -> None:
    made = sections_from_sql.table_section(
        "a", "A", "?", pl.DataFrame({"prompt_id": [f"{n:024x}" for n in range(1_500)], "n": range(1_500)})
    )
    assert made.content["total"] == 1_500
    assert len(made.content["values"][0]) == sections_from_sql.ROWS
    assert [column["kind"] for column in made.content["columns"]] == ["id", "number"]


def test_a_cell_holds_no_text_of_a_model_and_nothing_that_acts() -> None:
    rows = pl.DataFrame(
        {"text": ["open the door"], "label": ["a\u202eb\x1b[1m"], "long": ["x" * 500], "n": [float("nan")]}
    )
    assert [values[0] for values in sections_from_sql.table_section("a", "A", "?", rows).content["values"]] == [
        "(13 characters)", "a\\u{202e}b\\u{1b}[1m", "(500 characters)", None,
    ]  # fmt: skip


def map_of(version: Version) -> tuple[dict[str, Any], str] | None:
    points = version.select(*cluster_map.points_query())
    return cluster_map.build_map(version, version.select(cluster_map.EXTENT_QUERY), points)


def test_the_map_is_packed_without_loss_of_an_id(version: Version) -> None:
    found = map_of(version)
    assert found is not None
    content, note = found
    kept = version.select("select prompt_id, kind from kept join clusters using (prompt_id) order by 1")
    assert cluster_map.point_ids(content) == kept["prompt_id"].to_list()
    kind = next(column for column in content["columns"] if column["key"] == "kind")
    codes = np.frombuffer(base64.b64decode(kind["packed"]), "<u2")
    assert [kind["names"][code] for code in codes] == kept["kind"].to_list()
    assert note.startswith(f"All {kept.height} prompts")
    assert {"success", "novelty"} <= {column["key"] for column in content["columns"] if column["colour"]}


@pytest.mark.slow
def test_novelty_is_one_less_the_highest_cosine_with_an_earlier_prompt(version: Version) -> None:
    content, _ = map_of(version) or ({}, "")
    novelty = next(column for column in content["columns"] if column["key"] == "novelty")
    told = np.frombuffer(base64.b64decode(novelty["packed"]), "<u2")
    rows = version.select("select prompt_id, iteration, vector from kept join embeddings using (prompt_id)")
    for place, prompt_id in enumerate(cluster_map.point_ids(content)):
        own = rows.row(by_predicate=pl.col("prompt_id") == prompt_id, named=True)
        earlier = rows.filter(pl.col("iteration") < own["iteration"])
        if earlier.is_empty():
            assert told[place] == 65_535
        else:
            best = max(float(np.dot(own["vector"], other)) for other in earlier["vector"])
            assert abs(told[place] / 1000 - (1 - best)) < 0.0011


def test_a_prompt_that_another_model_embedded_is_no_neighbour(tmp_path: Path) -> None:
    """Of two embedders' prompts the map shows those of the first; vectors of the other have another width."""
    rows = {"aa": (0, [1.0, 0.0]), "bb": (1, [0.6, 0.8]), "cc": (0, [0.0, 0.0, 1.0])}
    shards = store(
        tmp_path,
        prompts=table("prompts", *({"prompt_id": each, "iteration": turn} for each, (turn, _) in rows.items())),
        embeddings=table("embeddings", *({"prompt_id": each, "vector": vector} for each, (_, vector) in rows.items())),
        clusters=table("clusters", *({"prompt_id": each, "cluster": 0, "label": "doors"} for each in ("aa", "bb"))),
    )

    class Place:
        def select(self, query: str, parameters: dict[str, object] | None = None) -> pl.DataFrame:
            return sql.run_trusted(shards, query, parameters)

        def paths(self) -> dict[str, list[Path]]:
            return shards

    content, _ = map_of(cast(Version, Place())) or ({}, "")
    novelty = next(column for column in content["columns"] if column["key"] == "novelty")
    assert np.frombuffer(base64.b64decode(novelty["packed"]), "<u2").tolist() == [65_535, 400]


@examples(30)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=300), st.integers(6, 60))
def test_a_sample_has_the_same_proportion_of_each_cluster_first_by_id(numbers: list[int], most: int) -> None:
    clusters = pl.DataFrame({"prompt_id": [f"{n * 7 % 301:04}" for n in range(len(numbers))], "cluster": numbers})
    dropped = clusters.with_columns(prompt_id="!" + pl.col("prompt_id"))  # they would be first
    with duckdb.connect() as connection:
        connection.register("clusters", pl.concat([clusters, dropped]).to_arrow())
        connection.register("dropped", dropped.select("prompt_id").to_arrow())
        query = f"with {placed_sample.sample_cte('true')} from clusters semi join sampled using (prompt_id)"
        sample = cast(pl.DataFrame, pl.from_arrow(connection.sql(query, params={"limit": most}).to_arrow_table()))
    assert set(sample["cluster"]) == set(numbers)
    assert sample.height <= max(most, 6) and sample["prompt_id"].is_unique().all()
    if len(numbers) <= most:
        assert sample.height == len(numbers)
        return
    for (cluster,), rows in clusters.group_by("cluster"):
        count = 1 + math.floor(rows.height * max(most - len(set(numbers)), 0) / len(numbers))
        assert sample.filter(cluster=cluster)["prompt_id"].sort().equals(rows["prompt_id"].sort().head(count))


def test_the_flow_accounts_for_every_row_and_escapes_names() -> None:
    told = pl.DataFrame(
        {
            "source": ["<b>&", "<b>&", "c"],
            "outcome": ["kept", "dropped", "kept"],
            "detail": ["train", "invalid", "test"],
            "rows": [5, 2, 3],
        }
    )
    picture = str(flow.draw_flow(told))
    assert "<b>" not in picture
    assert "&lt;b&gt;&amp;" in picture
    assert 'aria-label="10 rows of 2 sources: 8 kept, 2 dropped"' in picture
    assert picture.count('class="link') == 3 + 3


def test_the_flow_counts_what_the_tables_count(version: Version) -> None:
    told = version.select(library.load(folder("sql"))["flow"].sql)
    totals = dict(told.group_by("outcome").agg(pl.col("rows").sum()).iter_rows())
    assert totals["kept"] == version.table("kept").height
    assert totals["kept"] + totals["dropped"] == version.table("prompts").height
    assert totals["set aside"] == version.table("set_aside").height


def test_the_figures_are_those_of_the_metrics_and_compare_with_the_parent(made: Path) -> None:
    opened = sd.open(made)
    after, before = headline.load_figures(opened.version("v2")), headline.load_figures(opened.version("v1"))
    row = after.row(by_predicate=pl.col("figure") == "attack success, newest models", named=True)
    cell = (
        opened.version("v2")
        .select("from metrics where name = 'attack_success'")
        .with_columns(
            told=pl.col("facets").str.json_decode(
                pl.Struct({"red_team": pl.String, "target": pl.String, "judge": pl.String, "set": pl.String})
            )
        )
        .unnest("told")
        .filter(red_team="R2", target="T2", judge="keeper", set="evaluation")
    )
    assert (row["models"], row["value"], row["low"]) == ("R2 on T2", cell["value"].item(), cell["low"].item())
    compared = headline.compare_figures(after, before)
    kept = compared.row(by_predicate=pl.col("figure") == "kept prompts", named=True)
    assert kept["change"] == opened.version("v2").table("kept").height - opened.version("v1").table("kept").height
    assert headline.change_direction(kept) is None
    moved = {
        "value": 0.2,
        "low": 0.1,
        "high": 0.3,
        "before": 0.5,
        "before_low": 0.4,
        "before_high": 0.6,
        "change": -0.3,
    }
    assert headline.change_direction(moved | {"better": "lower"}) == "better"
    assert headline.change_direction(moved | {"better": "higher"}) == "worse"
    assert headline.change_direction(moved | {"better": "lower", "before_low": 0.15}) is None


def test_a_count_that_fell_to_nothing_is_told_and_one_that_never_was_is_not() -> None:
    def figures(aside: float, pairs: float) -> pl.DataFrame:
        rows = [("rows set aside", aside, None), ("preference pairs", pairs, None), ("over-refusal", 0.0, "lower")]
        told = pl.DataFrame(rows, schema=["figure", "value", "better"], orient="row")
        return told.with_columns(models=pl.lit(None, pl.String), low=pl.lit(0.0), high=pl.lit(0.1))

    fell = headline.compare_figures(figures(0, 0), figures(3, 0))
    assert fell.select("figure", "change").rows() == [("rows set aside", -3), ("over-refusal", 0)]
    assert headline.compare_figures(figures(0, 2), None)["figure"].to_list() == ["preference pairs", "over-refusal"]


def test_changes_since_the_parent_are_counted(made: Path) -> None:
    opened = sd.open(made)
    changed = overview.changes_frame(opened.version("v1").diff(opened.version("v2")))
    added = int(changed.filter(change="added")["rows"].sum())
    before, after = opened.version("v1").table("kept"), opened.version("v2").table("kept")
    assert added == after.join(before, on="prompt_id", how="anti").height > 0


@pytest.mark.slow
def test_the_command_writes_the_file_and_refuses_in_one_sentence(made: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    assert said("report", "v2", "--against", "v0", "--workspace", made, "-o", path).startswith(
        f"Wrote the report of v2 to {path}"
    )
    assert "compared with v0" in path.read_text(encoding="utf-8")
    assert "v9" in refused("report", "v2", "--against", "v9", "--workspace", made, "-o", tmp_path / "b.html")
    assert not (tmp_path / "b.html").exists()


def test_without_the_extra_it_says_what_to_install(version: Version, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "vl_convert", None)
    with pytest.raises(SeasDataError, match=r"pip install 'seas-data\[report\]'"):
        report.render_report(version)
