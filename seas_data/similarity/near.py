"""Near duplicates: texts that share most of their character 5-grams, found without comparing all with all.

Candidates come from MinHash bands (Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, chapter 3) and every one
is then counted exactly: a pair that is returned is over the threshold, and the probability that one over the threshold
is missed is known and small. An exact join by prefix filtering, as in ``containment``, would look at 40 times as many
pairs of the public prompt sets at a similarity of 0.6.
"""

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from seas_data.errors import SeasDataError
from seas_data.progress import bar
from seas_data.similarity.candidates import Int64s, distinct, parts
from seas_data.similarity.neighbours import Pairs
from seas_data.similarity.shingles import firsts, jaccard, minhash, number, paired, ranges, shingles

_CURE = (
    "remove exact copies first, let the build find templates (curation.templates.find), or raise curation.near.group "
    "and curation.near.duplicate"
)
RECALL = 0.995  # of the pairs exactly at the threshold; of those above it, more
MOST_PERMUTATIONS = 256


def pairs(
    texts: Sequence[str],
    threshold: float,
    *,
    blocks: Int64s | None = None,
    earlier: NDArray[np.bool_] | None = None,
) -> Pairs:
    """Return the pairs of ``texts`` whose sets of 5-grams have a Jaccard similarity of at least ``threshold``.

    Pairs of one block (equal ``blocks`` >= 0) and pairs of two ``earlier`` texts are left out and cost nothing. Pass
    each normalised text once: k copies make k * (k - 1) / 2 pairs. Raises SeasDataError above ``MOST_PAIRS``
    candidates and for a threshold that is too low to search for.
    """
    bands, rows = banding(threshold)
    sets = shingles(texts)
    sizes = sets.sizes
    block = np.zeros(len(texts), np.int64) if blocks is None else _numbered_blocks(blocks)
    later = np.ones(len(texts), bool) if earlier is None else ~earlier
    keys, sketches = minhash(sets, bands, rows)
    candidates = _plausible(_candidates(keys, block, later), sizes, sketches, threshold)
    left, right = distinct(candidates, max(1, len(texts)), _CURE)
    few, one, other = paired(sets, left, right)
    del sets, keys, sketches, candidates  # at a million texts these are gigabytes
    score = jaccard(number(few), one, other)
    alike = score >= threshold
    return Pairs(left[alike], right[alike], score[alike].astype(np.float32))


def banding(threshold: float) -> tuple[int, int]:
    """Return how many bands of how many MinHash values find a pair at ``threshold`` with a probability of ``RECALL``.

    Sets of similarity s agree in all r values of a band with probability s**r and so in one of b bands with
    1 - (1 - s**r)**b. The longest bands within ``MOST_PERMUTATIONS`` let the fewest pairs below the threshold pass.
    """
    for rows in range(MOST_PERMUTATIONS, 0, -1):
        hit = min(threshold, 1.0) ** rows
        bands = 1 if hit == 1 else math.ceil(math.log(1 - RECALL) / math.log1p(-hit)) if hit > 1e-12 else math.inf
        if bands * rows <= MOST_PERMUTATIONS:
            return int(bands), rows
    raise SeasDataError(
        f"a near-duplicate threshold of {threshold} is too low to search for; set curation.near.group and "
        "curation.near.duplicate to 0.05 or more"
    )


def _numbered_blocks(blocks: Int64s) -> Int64s:
    """Return the blocks as 1, 2, ... and 0 for none."""
    named, numbers = np.unique(np.maximum(blocks, -1), return_inverse=True)
    return numbers + 1 if len(named) and named[0] >= 0 else numbers


def _candidates(keys: NDArray[np.uint64], block: Int64s, later: NDArray[np.bool_]) -> Iterator[tuple[Int64s, Int64s]]:
    with bar(len(keys), "near duplicates", "bands") as progress:
        for band in keys:
            yield from _bucket_pairs(band, block, later)
            progress.update()


def _plausible(
    candidates: Iterable[tuple[Int64s, Int64s]], sizes: Int64s, sketches: NDArray[np.uint8], threshold: float
) -> Iterator[tuple[Int64s, Int64s]]:
    """Yield the candidates that may reach the threshold, smaller index first.

    Sets of too different sizes cannot. Of those whose sketches agree too seldom fewer than one in a million can: it
    would have been less lucky than that many draws of a binomial.
    """
    length = sketches.shape[1]
    least = int(scipy.stats.binom.ppf(1e-6, length, min(threshold, 1.0)))
    for one, other in candidates:
        possible = np.minimum(sizes[one], sizes[other]) / np.maximum(sizes[one], sizes[other]) >= threshold
        one, other = one[possible], other[possible]
        agree = np.empty(len(one), np.int64)
        for start in range(0, len(one), 1 << 14):
            part = slice(start, start + (1 << 14))
            agree[part] = np.count_nonzero(sketches[one[part]] == sketches[other[part]], axis=1)
        one, other = one[agree >= least], other[agree >= least]
        yield np.minimum(one, other), np.maximum(one, other)


def _bucket_pairs(keys: NDArray[np.uint64], block: Int64s, later: NDArray[np.bool_]) -> Iterator[tuple[Int64s, Int64s]]:
    """Yield the pairs of equal keys, less those of one block and those of two earlier texts, which are never listed.

    In a bucket the earlier texts stand before the later ones, and each part is sorted by block. So the partners of a
    later text are those behind it (behind its block, if it has one), and those of an earlier text are all later ones
    before and behind its own block.
    """
    order = np.argsort(keys)
    bucket = np.cumsum(firsts(keys[order])) - 1
    common = np.bincount(bucket)[bucket] > 1
    text, bucket = order[common], bucket[common]
    width = int(block.max(initial=0)) + 1
    place = (2 * bucket + later[text]) * width + block[text]
    order = np.argsort(place)
    text, bucket, place = text[order], bucket[order], place[order]

    later_start, end = (np.searchsorted(place, (2 * bucket + part) * width) for part in (1, 2))
    own = (2 * bucket + 1) * width + block[text]
    single = np.maximum(later_start, np.arange(1, len(text) + 1))
    own_start = np.where(block[text] == 0, single, np.searchsorted(place, own))
    own_end = np.where(block[text] == 0, single, np.searchsorted(place, own + 1))
    before = np.where(later[text], 0, own_start - later_start)

    left = np.concatenate([text, text])
    starts = np.concatenate([later_start, own_end])
    counts = np.concatenate([before, end - own_end])
    for part in parts(counts, _CURE):
        yield np.repeat(left[part], counts[part]), text[ranges(starts[part], counts[part])]
