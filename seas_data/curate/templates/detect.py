"""Template detection: which prompts share a wrapper around a changing request, and the request (payload) of each.

SEAS-like data consists of fixed stories and instructions around a changing request. Compared as whole texts, a thousand
different requests in one long wrapper look alike. So every wrapped prompt gets the ``template_id`` of its wrapper and
its *payload*, the changing part, by which it is compared with other prompts in the same wrapper. ``find_wrappers``
explains how wrappers are found.

- A prompt matches a template if it contains all segments of the wrapper in order, compared in folded form (NFC,
  case-folded, white space collapsed); of several matching templates it gets the one with the most fixed text. Segments
  are stored in folded form and ``template_id`` is their hash, so another spelling of a wrapper is the same template.
- Wrappers of earlier versions are matched first and keep their ids; new ones are found among the remaining prompts.
- The payload is the text that the wrapper leaves (``payloads``). A prompt that consists of its wrapper only has a null
  payload and is compared as a whole text.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from seas_data import recipe, tables
from seas_data.curate.templates import winnowing
from seas_data.curate.templates.find_wrappers import find_wrappers
from seas_data.curate.templates.payloads import extract_payloads
from seas_data.curate.templates.shared_segments import Segments, count_characters, find_spans
from seas_data.curate.templates.window_store import WindowStore
from seas_data.text import content_id

_TEXTS_PER_CHUNK = 2_000


@dataclass(frozen=True)
class DetectedTemplates:
    """The templates of a set of prompts.

    ``templates``: ``prompt_id``, ``template_id``, ``payload``, one row per wrapped prompt, in the order of the prompts.
    ``wrappers``: ``template_id``, ``segments`` (folded), the earlier wrappers and the new ones in use, sorted by id.
    """

    templates: pl.DataFrame
    wrappers: pl.DataFrame


def detect_templates(
    prompts: pl.DataFrame, settings: recipe.Templates, earlier_wrappers: pl.DataFrame | None = None
) -> DetectedTemplates:
    """Return the templates of ``prompts``; ``earlier_wrappers`` are matched before new wrappers are searched for.

    A new wrapper has at least ``settings.min_characters`` folded characters, one segment of at least
    ``winnowing.GUARANTEED_CHARACTERS``, and occurs in at least ``settings.min_rows`` texts with different payloads;
    copies of a text count once. The result does not depend on the order or the ids of the rows.

    Input columns: ``prompt_id``, ``text``; of ``earlier_wrappers``: ``template_id``, ``segments``.
    Output columns: see ``DetectedTemplates``.
    """
    earlier_wrappers = (
        tables.empty("wrappers") if earlier_wrappers is None else earlier_wrappers.select("template_id", "segments")
    )
    views, view_of_row = _fold_distinct(prompts["text"])
    segments_of = {id_: tuple(segments) for id_, segments in earlier_wrappers.iter_rows()}
    with WindowStore(views) as windows:
        template_of = _match_wrappers(views, windows, segments_of)
        if settings.detect:
            free = np.array([id_ is None for id_ in template_of], np.bool_)
            found = find_wrappers(
                views.filter(pl.Series(free)),
                windows.select_frequent(settings.min_rows, free),
                min_rows=settings.min_rows,
                min_characters=settings.min_characters,
            )
            new = {content_id("template", *segments): segments for segments in found}
            template_of = [
                id_ or other for id_, other in zip(template_of, _match_wrappers(views, windows, new), strict=True)
            ]
            segments_of = new | segments_of
    template_ids = pl.Series(template_of, dtype=pl.String).gather(view_of_row)
    wrapped = prompts.select("prompt_id", "text", template_id=template_ids).drop_nulls("template_id")
    cut = pl.Series(dtype=pl.String)
    for part in wrapped.iter_slices(_TEXTS_PER_CHUNK):
        texts = part["text"].str.normalize("NFC").to_list()
        payloads = extract_payloads(texts, [segments_of[id_] for id_ in part["template_id"]])
        cut.append(pl.Series(payloads, dtype=pl.String))
    in_use = sorted(set(earlier_wrappers["template_id"]) | set(wrapped["template_id"].unique()))
    return DetectedTemplates(
        wrapped.select("prompt_id", "template_id", payload=cut),
        pl.DataFrame(
            {"template_id": in_use, "segments": [list(segments_of[id_]) for id_ in in_use]}, earlier_wrappers.schema
        ),
    )


def _fold_distinct(texts: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return the distinct folded texts, sorted, and the index of each text among them."""
    views = pl.Series("view", dtype=pl.String)
    for part in texts.to_frame().iter_slices(_TEXTS_PER_CHUNK):
        folded = winnowing.fold(part.to_series().str.normalize("NFC").to_list())
        views.append(pl.Series(folded.views, dtype=pl.String))
    views = views.rechunk()  # with several chunks, rank and gather each copy the texts
    ranks = views.rank("dense").cast(pl.Int64).to_numpy() - 1
    first = np.empty(int(ranks.max(initial=-1)) + 1, np.int64)
    first[ranks] = np.arange(len(ranks))
    return views.gather(first), pl.Series(ranks)


def _match_wrappers(views: pl.Series, windows: WindowStore, segments_of: Mapping[str, Segments]) -> list[str | None]:
    """Return, for each view, the id of its wrapper with the most fixed text (ties: the lowest id), or None."""
    match: list[str | None] = [None] * len(views)
    order = sorted(segments_of, key=lambda id_: (-count_characters(segments_of[id_]), id_))
    for id_, rows in zip(
        order, _list_candidates(windows, [segments_of[id_] for id_ in order], len(views)), strict=True
    ):
        free = [row for row in rows if match[row] is None]
        for row, view in zip(free, views.gather(free), strict=True):
            if find_spans(view, segments_of[id_]) is not None:
                match[row] = id_
    return match


def _list_candidates(store: WindowStore, wrappers: Sequence[Segments], count: int) -> Iterator[Sequence[int]]:
    """Yield, for each wrapper, the rows that contain the rarest window of its longest segment."""
    if not wrappers:
        return
    anchors = winnowing.winnow([max(segments, key=len) for segments in wrappers])
    windows = store.select_hashes(anchors.hashes)
    first, last = (np.searchsorted(windows.hashes, anchors.hashes, side) for side in ("left", "right"))
    order = np.lexsort((last - first, anchors.rows))
    anchored = dict(zip(anchors.rows[order][::-1].tolist(), order[::-1].tolist(), strict=True))
    for index in range(len(wrappers)):
        anchor = anchored.get(index)
        yield range(count) if anchor is None else windows.rows[first[anchor] : last[anchor]].tolist()
