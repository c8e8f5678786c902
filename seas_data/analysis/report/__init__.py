"""The report: a version in one HTML file that opens offline, holds ids and no prompts, and asks no server for anything.

sections    every query of the library by its header, by topic
charts      header and answer to a Vega-Lite chart
map, flow   the two pictures that no header describes
overview    the numbers that matter, and what changed
page        the file itself, and the policy that keeps hostile text inert
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from seas_data.analysis import headline, library, sql
from seas_data.errors import SeasDataError
from seas_data.files import write_text
from seas_data.resources import folder
from seas_data.text import printable
from seas_data.version import Version

if TYPE_CHECKING:
    from seas_data.analysis.report.sections import Topic

_HELD = ("answers", "kept")  # what most queries ask
_LONGEST = 4_000  # characters of a prompt's text that --with-text embeds


def write(version: Version, path: Path, *, against: Version | None = None, with_text: bool = False) -> None:
    """Write the report of ``version`` to ``path``.

    ``against`` is what it is compared with; its parent without one. ``with_text`` embeds the text of every prompt that
    the page names. Raises SeasDataError where the extra ``report`` is not installed.
    """
    write_text(path, report(version, against=against, with_text=with_text))


def report(version: Version, *, against: Version | None = None, with_text: bool = False) -> str:
    """Return the report as HTML; see ``write``."""
    _require()
    from seas_data.analysis.report import page
    from seas_data.analysis.report.look import CONFIG

    against = headline.parent(version) if against is None else against
    topics, nothing, mapped = _topics(version, against)
    sections = {section.id: section.content for topic in topics for section in topic.sections if section.content}
    texts = _texts(version, sections, mapped) if with_text else {}
    manifest = version.manifest
    tags = sorted(tag for tag, of in version.workspace.tags().items() if of == manifest.version)
    return page.render(
        name=version.name,
        tags=tags,
        digest=version.digest,
        about=_about(version, against),
        marked="HOLDS PROMPT TEXT: " if with_text else "",
        with_text=with_text,
        texts=f"{len(texts):,}",
        topics=topics,
        nothing=nothing,
        data={"version": version.name, "config": CONFIG, "sections": sections, "map": mapped},
        text_data=texts,
    )


def _topics(version: Version, against: Version | None) -> "tuple[list[Topic], list[dict[str, Any]], Any]":
    from seas_data.analysis.report import flow, map, sections

    by_topic: dict[str, list[sections.Section]] = {name: [] for name in sections.ORDER}
    nothing = []
    for query, given, answer in _answers(version, sections.ordered(library.load(folder("sql")))):
        if isinstance(answer, str) or answer.is_empty():
            because = answer if isinstance(answer, str) else None
            nothing.append({"name": query.name, "title": query.title, "because": because})
        else:
            by_topic[sections.topic(query.name)].append(sections.section(query, given, answer, version.name))
    rows, picture = flow.flow(version)
    if picture is not None:
        made = sections.tabled("flow", "From sources to kept", "What became of every row that came in?", rows)
        made.svg = picture
        by_topic["curation"].insert(0, made)
    mapped = map.cluster_map(version)
    if mapped is not None:
        note = mapped[1]
        by_topic["coverage"].insert(
            0,
            sections.Section(
                "map", "Map", "Where do the kept prompts lie, by what they are about?", kind="map", note=note
            ),
        )
    titles = {name: title for name, title, _ in sections.TOPICS}
    topics = [_overview(version, against)]
    topics += [sections.Topic(name, titles[name], each) for name, each in by_topic.items() if each]
    return topics, nothing, mapped and mapped[0]


def _answers(
    version: Version, asked: "list[tuple[library.Query, tuple[str, ...]]]"
) -> "list[tuple[library.Query, tuple[str, ...], pl.DataFrame | str]]":
    """Return each query with its answer, or with its error: one file that is not right costs no other its section."""
    queries = [(query.sql, query.values(list(given))) for query, given in asked]
    try:
        return [
            (*each, answer) for each, answer in zip(asked, sql.read_all(version.paths(), queries, _HELD), strict=True)
        ]
    except SeasDataError:
        return [(*each, _answer(version, *query)) for each, query in zip(asked, queries, strict=True)]


def _answer(version: Version, query: str, values: dict[str, object]) -> pl.DataFrame | str:
    try:
        return version.select(query, values)
    except SeasDataError as problem:
        return str(problem)


def _overview(version: Version, against: Version | None) -> "Topic":
    from seas_data.analysis.report import overview, sections

    before = headline.figures(against) if against else None
    tiles = overview.tiles(headline.figures(version), before, against.name if against else None)
    topic = sections.Topic("overview", "Overview", [], tiles)
    if against is not None:
        changed = overview.changes(against, version)
        question = f"Which rows did {version.name} add, drop and relabel?"
        topic.sections.append(sections.tabled("changes", f"Since {against.name}", question, changed))
    return topic


def _about(version: Version, against: Version | None) -> str:
    manifest = version.manifest
    parts = [f"recipe {printable(str(manifest.recipe.get('name')))}", f"iteration {manifest.iteration}"]
    if manifest.parent:
        parts.append(f"built on {manifest.parent}")
    if against is not None:
        parts.append(f"compared with {against.name}")
    return ", ".join(parts)


def _texts(version: Version, sections: dict[str, Any], mapped: Any) -> dict[str, str]:
    """Return the text of each prompt that a table or the map names, as it can be shown: nothing in it acts."""
    from seas_data.analysis.report import map
    from seas_data.analysis.report import sections as parts

    named = {each for content in sections.values() for each in parts.prompt_ids(content)}
    named |= set(map.ids(mapped)) if mapped else set()
    rows = version.select("select prompt_id, text from prompts union select prompt_id, text from attacks order by all")
    rows = rows.join(
        pl.DataFrame({"prompt_id": sorted(named)}, schema={"prompt_id": pl.String}), on="prompt_id", how="semi"
    )
    return {prompt_id: _readable(text) for prompt_id, text in rows.iter_rows()}


def _readable(text: str) -> str:
    cut = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text):,} characters)"
    return "\n".join(printable(line) for line in cut.split("\n"))


def _require() -> None:
    try:
        import altair
        import jinja2
        import vl_convert
    except ModuleNotFoundError as problem:
        raise SeasDataError(
            f"the report needs {problem.name}; install it: pip install 'seas-data[report]'"
        ) from problem
    del altair, jinja2, vl_convert
