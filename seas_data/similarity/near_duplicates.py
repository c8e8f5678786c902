"""Near duplicates: pairs of texts with a high Jaccard similarity of character 5-grams, without comparing all pairs.

Candidates come from MinHash bands (Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, chapter 3), and each
candidate is then counted exactly: a returned pair reaches the threshold, and the probability of missing one that does
is known and small. An exact join by prefix filtering, as in ``containment``, would examine 40 times as many pairs of
the public prompt sets at a similarity of 0.6.

Memory does not hold the sets of all texts: they are built part by part, a sketch of 64 bytes a text is kept, the keys
of the bands are in a temporary file, and the sets of the texts in candidate pairs are built again in bounded blocks.
"""

import math
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import scipy.special
from numpy.typing import NDArray

from seas_data.errors import SeasDataError
from seas_data.progress import bar
from seas_data.similarity.candidate_pairs import Int64s, merge_distinct
from seas_data.similarity.cosine_neighbours import Pairs
from seas_data.similarity.minhash_buckets import generate_candidates
from seas_data.similarity.shingles import (
    SKETCH_BYTES,
    Texts,
    build_shingles,
    compute_jaccard,
    compute_minhash,
    number_values,
)
from seas_data.store.parts import Parts

_ADVICE = (
    "remove exact copies, enable template detection (curation.templates.detect), or raise "
    "curation.near.group_threshold and curation.near.duplicate_threshold"
)
RECALL = 0.995  # of the pairs exactly at the threshold; pairs above it have a higher one
MAX_PERMUTATIONS = 256
TEXTS_PER_PART = 1 << 15
BYTES_IN_MEMORY = 1 << 26
PAIRS_PER_BLOCK = 1 << 20
SHINGLES_PER_BLOCK = 1 << 23  # of the texts in a block of pairs: 64 MB, and three times as much to number them


def find_pairs(
    texts: Texts,
    threshold: float,
    *,
    blocks: Int64s | None = None,
    earlier: NDArray[np.bool_] | None = None,
    parts: Parts | None = None,
) -> Pairs:
    """Return the pairs of ``texts`` whose sets of 5-grams have a Jaccard similarity of at least ``threshold``.

    Pairs within one block (equal ``blocks`` >= 0) and pairs of two ``earlier`` texts are excluded and cost nothing.
    Pass each normalised text once: k copies make k * (k - 1) / 2 pairs. ``parts`` stores and runs signatures and
    comparisons of many texts.

    Raises SeasDataError for more candidates than ``candidate_pairs.require_pair_limit`` allows, in one band or that may
    reach the threshold, and for a threshold that is too low to search for.
    """
    block = np.zeros(len(texts), np.int64) if blocks is None else _number_blocks(blocks)
    later = np.ones(len(texts), bool) if earlier is None else ~earlier
    keys, sketches, sizes = _sketch(texts, threshold, parts or Parts(None))
    generated = generate_candidates(keys, choose_bands(threshold)[1], sketches, block, later, threshold, _ADVICE)
    candidates = _filter_by_sketch(generated, sizes, sketches, threshold)
    left, right = merge_distinct(candidates, max(1, len(texts)), _ADVICE)
    del keys, sketches, generated, candidates  # gigabytes at ten million texts
    score = _score_pairs(texts, sizes, left, right, parts or Parts(None))
    reaches = score >= threshold
    return Pairs(left[reaches], right[reaches], score[reaches].astype(np.float32))


def compute_signatures(texts: pl.DataFrame, settings: Mapping[str, Any]) -> pl.DataFrame:
    """Return the MinHash signatures of a part of the texts; ``settings``: ``bands`` and ``rows``.

    Input columns: ``text``.
    Output columns: ``shingles`` (their number), ``keys`` (one per band), ``sketch`` (see ``compute_minhash``).
    """
    sets = build_shingles(texts["text"])
    keys, sketches = compute_minhash(sets, settings["bands"], settings["rows"])
    return pl.DataFrame({"shingles": sets.sizes, "keys": np.ascontiguousarray(keys.T), "sketch": sketches})


def compare_partners(texts: pl.DataFrame, settings: Mapping[str, Any]) -> pl.DataFrame:
    """Return the Jaccard similarity of pairs of a part of the texts.

    Input columns: ``text``, ``partners`` (the rows of ``texts`` that it is compared with).
    Output columns: ``score``, one row per pair, in the order of the rows and their partners.
    """
    pairs = texts.select(pl.int_range(pl.len()).alias("left"), right="partners").explode("right").drop_nulls()
    sets = number_values(build_shingles(texts["text"]))
    return pl.DataFrame({"score": compute_jaccard(sets, pairs["left"].to_numpy(), pairs["right"].to_numpy())})


class _BandKeys:
    """The MinHash keys of many texts, of which memory holds those of one band at a time.

    Above ``BYTES_IN_MEMORY`` they are in a temporary file.
    """

    def __init__(self, bands: int, texts: int) -> None:
        self._bands, self._texts = bands, texts
        self._file = tempfile.SpooledTemporaryFile(BYTES_IN_MEMORY)  # noqa: SIM115  (closed with its last reference)

    def __len__(self) -> int:
        return self._bands

    def __iter__(self) -> Iterator[NDArray[np.uint64]]:
        for band in range(self._bands):
            self._file.seek(8 * band * self._texts)
            yield np.frombuffer(self._file.read(8 * self._texts), np.uint64)

    def write(self, first: int, keys: NDArray[np.uint64]) -> None:
        """Store the keys (bands, texts) of the texts from ``first`` on."""
        for band, values in enumerate(keys):
            self._file.seek(8 * (band * self._texts + first))
            self._file.write(values.tobytes())


def _sketch(texts: Texts, threshold: float, parts: Parts) -> tuple[_BandKeys, NDArray[np.uint8], Int64s]:
    """Return the MinHash keys, the sketches and the numbers of shingles of ``texts``, part by part."""
    bands, rows = choose_bands(threshold)
    keys = _BandKeys(bands, len(texts))
    sketches = np.empty((len(texts), min(SKETCH_BYTES, bands * rows)), np.uint8)
    sizes = np.empty(len(texts), np.int64)
    slices = [slice(start, start + TEXTS_PER_PART) for start in range(0, len(texts), TEXTS_PER_PART)]

    def cut(number: int) -> pl.DataFrame:
        return pl.DataFrame({"text": texts[slices[number]]}, schema={"text": pl.String})

    with bar(len(texts), "minhash", "texts") as progress:
        signatures = parts.map(compute_signatures, cut, len(slices), {"bands": bands, "rows": rows}, "minhash")
        for part, signature in zip(slices, signatures, strict=True):
            keys.write(part.start, signature["keys"].to_numpy().T)
            sketches[part] = signature["sketch"].to_numpy()
            sizes[part] = signature["shingles"].to_numpy()
            progress.update(signature.height)
    return keys, sketches, sizes


def _score_pairs(texts: Texts, sizes: Int64s, left: Int64s, right: Int64s, parts: Parts) -> NDArray[np.float64]:
    """Return the Jaccard similarity of each pair; pairs are sorted by ``left`` and ``right``."""
    score = np.empty(len(left), np.float64)
    slices = list(_slice_pairs(sizes, left, right))

    def cut(number: int) -> pl.DataFrame:
        one, other = left[slices[number]], right[slices[number]]
        used = np.unique(np.concatenate([one, other]))
        pairs = pl.DataFrame({"row": np.searchsorted(used, one), "partners": np.searchsorted(used, other)})
        partners = pairs.group_by("row", maintain_order=True).agg("partners")
        rows = pl.DataFrame({"text": _take(texts, used)}, schema={"text": pl.String}).with_row_index("row")
        joined = rows.with_columns(pl.col("row").cast(pl.Int64)).join(
            partners, on="row", how="left", maintain_order="left"
        )
        return joined.select("text", "partners")

    with bar(len(left), "comparing", "pairs") as progress:
        for pairs, scores in zip(slices, parts.map(compare_partners, cut, len(slices), {}, "comparing"), strict=True):
            score[pairs] = scores["score"].to_numpy()
            progress.update(scores.height)
    return score


def _slice_pairs(sizes: Int64s, left: Int64s, right: Int64s) -> Iterator[slice]:
    """Yield slices of the pairs whose texts, each counted once, together have about ``SHINGLES_PER_BLOCK`` shingles.

    A slice has at most about ``PAIRS_PER_BLOCK`` pairs.
    """
    # Pieces that have about an eighth of that even if no text is in two pairs. They are joined while they fit.
    most = np.cumsum(sizes[left] + sizes[right])
    pieces = np.flatnonzero(np.diff(most // max(1, SHINGLES_PER_BLOCK // 8))) + 1
    bounds = [0, *pieces.tolist(), len(left)]
    start, shingles, seen = 0, 0, np.zeros(len(sizes), np.bool_)
    for first, last in pairwise(bounds):
        texts = np.unique(np.concatenate([left[first:last], right[first:last]]))
        added = int(sizes[texts[~seen[texts]]].sum())
        if start < first and (shingles + added > SHINGLES_PER_BLOCK or last - start > PAIRS_PER_BLOCK):
            yield slice(start, first)
            start, shingles = first, 0
            seen[:] = False
            added = int(sizes[texts].sum())
        seen[texts] = True
        shingles += added
    if start < len(left):
        yield slice(start, len(left))


def _take(texts: Texts, rows: Int64s) -> Texts:
    return texts.gather(rows) if isinstance(texts, pl.Series) else [texts[row] for row in rows.tolist()]


def choose_bands(threshold: float) -> tuple[int, int]:
    """Return (bands, rows per band) that find a pair at ``threshold`` with a probability of at least ``RECALL``.

    Sets of similarity s agree in all r values of a band with probability s**r, and in at least one of b bands with
    1 - (1 - s**r)**b. The longest bands within ``MAX_PERMUTATIONS`` let the fewest pairs below the threshold pass.
    """
    for rows in range(MAX_PERMUTATIONS, 0, -1):
        hit = min(threshold, 1.0) ** rows
        bands = 1 if hit == 1 else math.ceil(math.log(1 - RECALL) / math.log1p(-hit)) if hit > 1e-12 else math.inf
        if bands * rows <= MAX_PERMUTATIONS:
            return int(bands), rows
    raise SeasDataError(
        f"the near-duplicate threshold {threshold} is too low to search for; set "
        "curation.near.group_threshold and curation.near.duplicate_threshold to 0.05 or more"
    )


def _number_blocks(blocks: Int64s) -> Int64s:
    """Return the blocks as 1, 2, ... and 0 for rows without a block."""
    named, numbers = np.unique(np.maximum(blocks, -1), return_inverse=True)
    return numbers + 1 if len(named) and named[0] >= 0 else numbers


def _filter_by_sketch(
    candidates: Iterable[tuple[Int64s, Int64s]], sizes: Int64s, sketches: NDArray[np.uint8], threshold: float
) -> Iterator[tuple[Int64s, Int64s]]:
    """Yield the candidates that may reach the threshold, smaller index first.

    Sets of too different sizes cannot reach it. Of the pairs whose sketches agree less often than ``least``, fewer than
    one in a million reaches it, by the binomial distribution of the agreements.
    """
    length = sketches.shape[1]
    # What scipy.stats.binom.ppf returns, whose module takes a second to import.
    least = int(np.searchsorted(scipy.special.bdtr(np.arange(length + 1), length, min(threshold, 1.0)), 1e-6))
    for one, other in candidates:
        possible = np.minimum(sizes[one], sizes[other]) / np.maximum(sizes[one], sizes[other]) >= threshold
        one, other = one[possible], other[possible]
        agree = np.empty(len(one), np.int64)
        for start in range(0, len(one), 1 << 14):
            part = slice(start, start + (1 << 14))
            agree[part] = np.count_nonzero(sketches[one[part]] == sketches[other[part]], axis=1)
        one, other = one[agree >= least], other[agree >= least]
        yield np.minimum(one, other), np.maximum(one, other)
