"""Templates: which prompts are one wrapper around a changing request, and what each of them asks.

SEAS-like data is fixed stories and instructions around a changing request. Compared whole, a thousand different
requests in one long wrapper look like one; so every wrapped prompt gets the ``template_id`` of its wrapper and its
*payload*, the part that changes, by which it is compared with the others in the same wrapper. ``wrappers.py`` has how
wrappers are found.

- A prompt is in a template if all the wrapper's segments stand in it in order, compared folded (NFC, case-folded, white
  space collapsed, as everything here is compared), and of several it is in the one with the most fixed text. Segments
  are stored in that form, and ``template_id`` is their hash: another spelling of a wrapper makes no second one.
- Wrappers that are known from earlier versions are matched first and keep their ids; new ones are found among the rest.
- The payload is what the wrapper leaves (``payloads.py``). A prompt that is its wrapper and nothing else has none
  (null) and is compared whole.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seas_data import recipe, tables
from seas_data.curate.templates import payloads, windows, wrappers
from seas_data.curate.templates.segments import Segments, characters, spans
from seas_data.curate.templates.windows import Windows
from seas_data.text import content_id

_FOLDED_AT_ONCE = 10_000


@dataclass(frozen=True)
class Found:
    """``templates``: prompt_id, template_id, payload; a row for each wrapped prompt, in the order of the prompts.

    ``wrappers``: template_id, segments (folded); the known ones and the new ones that wrap a prompt, sorted by id.
    """

    templates: pl.DataFrame
    wrappers: pl.DataFrame


def find(prompts: pl.DataFrame, settings: recipe.Templates, known: pl.DataFrame | None = None) -> Found:
    """Return the templates of ``prompts`` (prompt_id, text); ``known`` wrappers (template_id, segments) come first.

    A new wrapper holds at least ``settings.min_characters`` folded characters, one segment of at least
    ``windows.GUARANTEED``, and stands in at least ``settings.min_rows`` texts with different payloads; copies of a
    text count once. Neither the order of the rows nor their ids have any influence.
    """
    known = tables.empty("wrappers") if known is None else known.select("template_id", "segments")
    texts = prompts["text"].str.normalize("NFC")
    views, view_of_row = _folded(texts)
    found = windows.winnow(views)
    segments_of = {id_: tuple(segments) for id_, segments in known.iter_rows()}
    template_of = _match(views, found, segments_of)
    if settings.find:
        free = np.array([id_ is None for id_ in template_of], np.bool_)
        discovered = wrappers.discover(
            [view for view, is_free in zip(views, free, strict=True) if is_free],
            _of_rows(found, free),
            min_rows=settings.min_rows,
            min_characters=settings.min_characters,
        )
        new = {content_id("template", *segments): segments for segments in discovered}
        template_of = [id_ or other for id_, other in zip(template_of, _match(views, found, new), strict=True)]
        segments_of = new | segments_of
    template_ids = [template_of[view] for view in view_of_row]
    wrapped = prompts.select("prompt_id", text=texts, template_id=pl.Series(template_ids, dtype=pl.String)).filter(
        pl.col("template_id").is_not_null()
    )
    cut = payloads.cut(wrapped["text"].to_list(), [segments_of[id_] for id_ in wrapped["template_id"]])
    in_use = sorted(set(known["template_id"]) | set(wrapped["template_id"]))
    return Found(
        wrapped.select("prompt_id", "template_id", payload=pl.Series(cut, dtype=pl.String)),
        pl.DataFrame({"template_id": in_use, "segments": [list(segments_of[id_]) for id_ in in_use]}, known.schema),
    )


def _folded(texts: pl.Series) -> tuple[list[str], list[int]]:
    """Return the distinct folded texts, sorted, and which of them each text is."""
    views = [
        view
        for part in texts.to_frame().iter_slices(_FOLDED_AT_ONCE)
        for view in windows.fold(part.to_series().to_list()).views
    ]
    distinct = sorted(set(views))
    place = {view: index for index, view in enumerate(distinct)}
    return distinct, [place[view] for view in views]


def _of_rows(found: Windows, chosen: NDArray[np.bool_]) -> Windows:
    """Return the windows of the ``chosen`` rows, numbered anew."""
    kept = chosen[found.rows]
    return Windows(found.hashes[kept], (np.cumsum(chosen) - 1)[found.rows[kept]])


def _match(views: Sequence[str], found: Windows, segments_of: Mapping[str, Segments]) -> list[str | None]:
    """Return, for each view, the wrapper in it with the most fixed text (of equal ones the least id), or None."""
    match: list[str | None] = [None] * len(views)
    order = sorted(segments_of, key=lambda id_: (-characters(segments_of[id_]), id_))
    for id_, rows in zip(order, _candidates(found, [segments_of[id_] for id_ in order], len(views)), strict=True):
        for row in rows:
            if match[row] is None and spans(views[row], segments_of[id_]) is not None:
                match[row] = id_
    return match


def _candidates(found: Windows, wanted: Sequence[Segments], count: int) -> Iterator[Sequence[int]]:
    """Yield, for each wrapper, the rows that have the rarest window of its longest segment: all that it can be in."""
    anchors = windows.winnow([max(segments, key=len) for segments in wanted])
    first, last = (np.searchsorted(found.hashes, anchors.hashes, side) for side in ("left", "right"))
    order = np.lexsort((last - first, anchors.rows))
    anchored = dict(zip(anchors.rows[order][::-1].tolist(), order[::-1].tolist(), strict=True))
    for index in range(len(wanted)):
        anchor = anchored.get(index)
        yield range(count) if anchor is None else found.rows[first[anchor] : last[anchor]].tolist()
