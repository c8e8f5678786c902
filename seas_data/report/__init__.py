"""The report: a version as one HTML file that works offline and contains ids instead of prompt texts.

sections_from_sql    every query of the library, by topic
charts_from_sql      a query's header and result to a Vega-Lite chart; encoding and theme serve it
cluster_map          the map of the kept prompts
flow                 the Sankey diagram of sources, drops and splits
overview             headline figures and changes
html_page            the file, and the policy that keeps hostile text inert
explore              the map for embedding-atlas: another file, not part of the report
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from seas_data.errors import SeasDataError
from seas_data.query import differences, headline, library, sql
from seas_data.query.version import Version
from seas_data.resources import folder
from seas_data.store.files import write_text
from seas_data.text import printable

if TYPE_CHECKING:
    from seas_data.report.sections_from_sql import Topic

_MATERIALISED = ("answers", "kept")  # views that most queries use
_LONGEST = 4_000  # characters of a prompt's text that --with-text embeds


def write_report(version: Version, path: Path, *, against: Version | None = None, with_text: bool = False) -> None:
    """Write the report of ``version`` to ``path``.

    ``against``: the version to compare with; the parent without one. ``with_text``: embed the text of every prompt that
    the page names. Raises SeasDataError if the extra ``report`` is not installed.
    """
    write_text(path, render_report(version, against=against, with_text=with_text), private=True)


def render_report(version: Version, *, against: Version | None = None, with_text: bool = False) -> str:
    """Return the report as HTML; see ``write_report``."""
    _require_extra()
    from seas_data.report import html_page
    from seas_data.report.theme import CONFIG

    against = headline.load_parent(version) if against is None else against
    topics, without_result, map_content = _build_topics(version, against)
    sections = {section.id: section.content for topic in topics for section in topic.sections if section.content}
    texts = _load_texts(version, sections, map_content) if with_text else {}
    manifest = version.manifest
    tags = sorted(tag for tag, of in version.workspace.tags().items() if of == manifest.version)
    return html_page.render_page(
        name=version.name,
        tags=tags,
        digest=version.digest,
        about=_describe(version, against),
        warning="CONTAINS PROMPT TEXT: " if with_text else "",
        with_text=with_text,
        texts=f"{len(texts):,}",
        topics=topics,
        without_result=without_result,
        data={"version": version.name, "config": CONFIG, "sections": sections, "map": map_content},
        text_data=texts,
    )


def _build_topics(version: Version, against: Version | None) -> "tuple[list[Topic], list[dict[str, Any]], Any]":
    """Return the topics of the page, the queries without a result, and the content of the map."""
    from seas_data.report import cluster_map, flow, overview, sections_from_sql

    listed = sections_from_sql.order_queries(library.load(folder("sql")))
    queries = [(query.sql, query.values(list(given))) for query, given in listed]
    *results, extent, points = sql.run_each(
        version.paths(), [*queries, (cluster_map.EXTENT_QUERY, {}), cluster_map.points_query()], _MATERIALISED
    )

    topics = {name: sections_from_sql.Topic(name, title, []) for name, title in sections_from_sql.TITLES.items()}
    without_result: list[dict[str, Any]] = []
    for (query, given), result in zip(listed, results, strict=True):
        if isinstance(result, SeasDataError) or result.is_empty():
            because = str(result) if isinstance(result, SeasDataError) else None
            without_result.append({"name": query.name, "title": query.title, "because": because})
            continue
        section = sections_from_sql.query_section(query, given, result, version.name)
        topics[query.topic].sections.append(section)
        if query.name == "flow":
            section.svg = flow.draw_flow(result)
        if query.name == "headline":
            before = headline.load_figures(against) if against else None
            topics["overview"].tiles = overview.build_tiles(result, before, against.name if against else None)
    if against is not None:
        changed = overview.changes_frame(differences.compare_versions(against.paths(), version.paths()))
        question = f"Which rows were added, dropped and relabelled in {version.name}?"
        topics["overview"].sections.insert(
            0, sections_from_sql.table_section("changes", f"Changes since {against.name}", question, changed)
        )
    built_map = cluster_map.build_map(version, _require_frame(extent), _require_frame(points))
    if built_map is not None:
        question = "Which topics do the kept prompts cover?"
        topics["coverage"].sections.insert(
            0, sections_from_sql.Section("map", "Map", question, kind="map", note=built_map[1])
        )
    shown = [topic for topic in topics.values() if topic.sections or topic.id == "overview"]
    return shown, without_result, built_map and built_map[0]


def _require_frame(result: pl.DataFrame | SeasDataError) -> pl.DataFrame:
    if isinstance(result, SeasDataError):
        raise result
    return result


def _describe(version: Version, against: Version | None) -> str:
    manifest = version.manifest
    parts = [f"recipe {printable(str(manifest.recipe.get('name')))}", f"iteration {manifest.iteration}"]
    if manifest.parent:
        parts.append(f"built on {manifest.parent}")
    if against is not None:
        parts.append(f"compared with {against.name}")
    return ", ".join(parts)


def _load_texts(version: Version, sections: dict[str, Any], map_content: Any) -> dict[str, str]:
    """Return the text of each prompt that a table or the map names, with control characters made visible."""
    from seas_data.report.cluster_map import point_ids
    from seas_data.report.sections_from_sql import prompt_ids

    named = {each for content in sections.values() for each in prompt_ids(content)}
    named |= set(point_ids(map_content)) if map_content else set()
    rows = version.select("select prompt_id, text from prompts union select prompt_id, text from attacks order by all")
    rows = rows.join(
        pl.DataFrame({"prompt_id": sorted(named)}, schema={"prompt_id": pl.String}), on="prompt_id", how="semi"
    )
    return {prompt_id: _readable(text) for prompt_id, text in rows.iter_rows()}


def _readable(text: str) -> str:
    cut = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text):,} characters)"
    return "\n".join(printable(line) for line in cut.split("\n"))


def _require_extra() -> None:
    try:
        import altair
        import jinja2
        import vl_convert
    except ModuleNotFoundError as problem:
        raise SeasDataError(
            f"the report needs {problem.name}; install it with: pip install 'seas-data[report]'"
        ) from problem
    del altair, jinja2, vl_convert
