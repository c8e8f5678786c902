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

from seas_data.errors import SeasDataError
from seas_data.query import explain, headline, library, sql
from seas_data.query.version import Version
from seas_data.resources import folder
from seas_data.store.files import write_text
from seas_data.text import printable

if TYPE_CHECKING:
    from seas_data.report.sections import Topic

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
    from seas_data.report import page
    from seas_data.report.theme import CONFIG

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
    """Return what stands on the page, the queries without an answer, and the content of the map."""
    from seas_data.report import flow, map, overview, sections

    listed = sections.ordered(library.load(folder("sql")))
    asked = [(query.sql, query.values(list(given))) for query, given in listed]
    *answers, places, rows = sql.read_each(version.paths(), [*asked, (map.QUERY, {}), (explain.ROWS, {})], _HELD)

    topics = {name: sections.Topic(name, title, []) for name, title in sections.TITLES.items()}
    nothing: list[dict[str, Any]] = []
    for (query, given), answer in zip(listed, answers, strict=True):
        if isinstance(answer, SeasDataError) or answer.is_empty():
            because = str(answer) if isinstance(answer, SeasDataError) else None
            nothing.append({"name": query.name, "title": query.title, "because": because})
            continue
        made = sections.section(query, given, answer, version.name)
        topics[query.topic].sections.append(made)
        if query.name == "flow":
            made.svg = flow.draw(answer)
        if query.name == "headline":
            before = headline.figures(against) if against else None
            topics["overview"].tiles = overview.tiles(answer, before, against.name if against else None)
    if against is not None:
        changed = overview.changes(explain.compared(against.select(explain.ROWS), _answered(rows)))
        question = f"Which rows did {version.name} add, drop and relabel?"
        topics["overview"].sections.insert(0, sections.tabled("changes", f"Since {against.name}", question, changed))
    mapped = map.cluster_map(version, _answered(places))
    if mapped is not None:
        question = "Where do the kept prompts lie, by what they are about?"
        topics["coverage"].sections.insert(0, sections.Section("map", "Map", question, kind="map", note=mapped[1]))
    shown = [topic for topic in topics.values() if topic.sections or topic.id == "overview"]
    return shown, nothing, mapped and mapped[0]


def _answered(answer: pl.DataFrame | SeasDataError) -> pl.DataFrame:
    if isinstance(answer, SeasDataError):
        raise answer
    return answer


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
    from seas_data.report import map
    from seas_data.report import sections as parts

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
