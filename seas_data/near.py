"""Near duplicates: texts that share most of their character 5-grams, found without comparing all with all.

Candidates come from MinHash bands (Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, chapter 3) and every one
is then counted exactly: a pair that is returned is over the threshold, and the probability that one over the threshold
is missed is known and small. An exact join by prefix filtering would look at 40 times as many pairs of the public
prompt sets at a similarity of 0.6. Where few texts are sought in many, as in ``containment``, it is the better way.
"""

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from seas_data.errors import SeasDataError
from seas_data.neighbours import Pairs
from seas_data.progress import bar
from seas_data.shingles import Shingles, firsts, minhash, number, ranges, shared, shingles, take

RECALL = 0.995  # of the pairs exactly at the threshold; of those above it, more
MOST_PERMUTATIONS = 256
MOST_PAIRS = 50_000_000
_PAIRS_AT_A_TIME = 1 << 22

Int64s = NDArray[np.int64]


def pairs(
    texts: Sequence[str],
    threshold: float,
    *,
    blocks: Int64s | None = None,
    earlier: NDArray[np.bool_] | None = None,
) -> Pairs:
    """Return the pairs of ``texts`` whose sets of 5-grams have a Jaccard similarity of at least ``threshold``.

    Pairs of one block (equal ``blocks`` >= 0) and pairs of two ``earlier`` texts are left out and cost nothing. Pass
    each normalised text once: k copies make k * (k - 1) / 2 pairs. Raises SeasDataError above 50 million candidates
    and for a threshold that is too low to search for.
    """
    bands, rows = banding(threshold)
    sets = shingles(texts)
    sizes = sets.sizes
    block = np.zeros(len(texts), np.int64) if blocks is None else _numbered_blocks(blocks)
    later = np.ones(len(texts), bool) if earlier is None else ~earlier
    buckets = _candidates(minhash(sets, bands, rows), bands, block, later)
    left, right = _distinct(_of_like_size(buckets, sizes, threshold), max(1, len(texts)))
    common = _counted(sets, left, right)
    score = common / (sizes[left] + sizes[right] - common)
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
    raise SeasDataError(f"a near-duplicate threshold of {threshold} is too low to search for; set it to 0.05 or more")


def containment(
    queries: Sequence[str], texts: Sequence[str], threshold: float
) -> tuple[Int64s, Int64s, NDArray[np.float32]]:
    """Return (query, text, score) of the pairs where at least ``threshold`` (> 0) of a query's 5-grams are in a text.

    Exact, sorted by query and text. A text that lacks all of a query's n - ceil(threshold * n) + 1 rarest shingles
    cannot hold enough of its n, so only texts with one of those are counted (prefix filtering: Chaudhuri, Ganti,
    Kaushik 2006). Raises SeasDataError above 50 million candidates.
    """
    sets = shingles([*queries, *texts])
    sizes = sets.sizes[: len(queries)]
    inside = sets.offsets[len(queries)]
    sought, query_shingles = np.unique(sets.values[:inside], return_inverse=True)
    owners, held = _occurrences(sets, len(queries), sought)
    rarity = np.bincount(held, minlength=len(sought))

    owner = np.repeat(np.arange(len(queries)), sizes)
    order = np.lexsort((query_shingles, rarity[query_shingles], owner))
    place = np.arange(inside) - np.repeat(sets.offsets[: len(queries)], sizes)
    needed = np.maximum(1, np.ceil(threshold * sizes - 1e-9)).astype(np.int64)
    prefix = order[place < np.repeat(sizes - needed + 1, sizes)]
    prefix = prefix[np.argsort(query_shingles[prefix], kind="stable")]
    seekers = np.bincount(query_shingles[prefix], minlength=len(sought))
    starts = np.cumsum(seekers) - seekers

    def candidates() -> Iterator[tuple[Int64s, Int64s]]:
        for part in _parts(seekers[held]):
            counts = seekers[held[part]]
            yield owner[prefix[ranges(starts[held[part]], counts)]], np.repeat(owners[part], counts)

    query, text = _distinct(candidates(), max(1, len(queries) + len(texts)))
    common = _counted(sets, query, text)
    score = common / sizes[query]
    enough = score >= threshold
    return query[enough], text[enough] - len(queries), score[enough].astype(np.float32)


def _occurrences(sets: Shingles, start: int, sought: NDArray[np.uint64]) -> tuple[Int64s, Int64s]:
    """Return (text, index into ``sought``) wherever a text from ``start`` on holds a shingle that is sought."""
    # Most shingles are not sought; a table of bits by the low bits of the hash tells most of them at once.
    low = np.uint64((1 << 22) - 1)
    known = np.zeros(1 << 22, bool)
    known[sought & low] = True
    texts, indices = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for first in range(start, len(sets.offsets) - 1, 1 << 12):
        last = min(first + (1 << 12), len(sets.offsets) - 1)
        values = sets.values[sets.offsets[first] : sets.offsets[last]]
        maybe = np.flatnonzero(known[values & low])
        index = np.searchsorted(sought, values[maybe]).clip(max=max(0, len(sought) - 1))
        sure = sought[index] == values[maybe]
        texts.append(np.repeat(np.arange(first, last), sets.sizes[first:last])[maybe[sure]])
        indices.append(index[sure])
    return np.concatenate(texts), np.concatenate(indices)


def _numbered_blocks(blocks: Int64s) -> Int64s:
    """Return blocks as 1, 2, ... and 0 for none."""
    _, numbers = np.unique(np.maximum(blocks, -1), return_inverse=True)
    return numbers + (1 if len(blocks) and blocks.min() >= 0 else 0)


def _candidates(
    bands: Iterable[NDArray[np.uint64]], count: int, block: Int64s, later: NDArray[np.bool_]
) -> Iterator[tuple[Int64s, Int64s]]:
    with bar(count, "near duplicates", "bands") as progress:
        for keys in bands:
            yield from _bucket_pairs(keys, block, later)
            progress.update()


def _of_like_size(
    candidates: Iterable[tuple[Int64s, Int64s]], sizes: Int64s, threshold: float
) -> Iterator[tuple[Int64s, Int64s]]:
    """Yield the candidates whose sizes allow the threshold (at most the smaller set is shared), smaller index first."""
    for one, other in candidates:
        possible = np.minimum(sizes[one], sizes[other]) / np.maximum(sizes[one], sizes[other]) >= threshold
        one, other = one[possible], other[possible]
        yield np.minimum(one, other), np.maximum(one, other)


def _bucket_pairs(keys: NDArray[np.uint64], block: Int64s, later: NDArray[np.bool_]) -> Iterator[tuple[Int64s, Int64s]]:
    """Yield the pairs of equal keys, less those of one block and those of two earlier texts, which are never listed.

    In a bucket the earlier texts stand before the later ones, and each part is sorted by block. So the partners of a
    later text are those behind it (behind its block, if it has one), and those of an earlier text are all later ones
    before and behind its own block.
    """
    order = np.argsort(keys, kind="stable")
    bucket = np.cumsum(firsts(keys[order])) - 1
    common = np.bincount(bucket)[bucket] > 1
    text, bucket = order[common], bucket[common]
    width = int(block.max(initial=0)) + 1
    place = (2 * bucket + later[text]) * width + block[text]
    order = np.argsort(place, kind="stable")
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
    for part in _parts(counts):
        yield np.repeat(left[part], counts[part]), text[ranges(starts[part], counts[part])]


def _parts(counts: Int64s) -> Iterator[slice]:
    """Yield slices of ``counts`` that sum to about ``_PAIRS_AT_A_TIME``; refuse what would never end."""
    reach = np.cumsum(counts)
    total = int(reach[-1]) if len(reach) else 0
    if total > MOST_PAIRS:
        raise _too_many()
    edges = np.searchsorted(reach, np.arange(_PAIRS_AT_A_TIME, total, _PAIRS_AT_A_TIME)) + 1
    bounds = np.unique(np.concatenate([[0], edges, [len(counts)]]))
    for start, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        yield slice(start, stop)


def _distinct(parts: Iterable[tuple[Int64s, Int64s]], base: int) -> tuple[Int64s, Int64s]:
    """Return (left, right) of all parts, right below ``base``, each pair once, sorted."""
    codes, waiting, size = [np.empty(0, np.int64)], 0, 0
    for left, right in parts:
        codes.append(left * base + right)
        waiting += len(left)
        if waiting > max(size, 4 * _PAIRS_AT_A_TIME):
            codes, waiting = [_sorted_set(codes)], 0
            size = len(codes[0])
            if size > MOST_PAIRS:
                raise _too_many()
    left, right = np.divmod(_sorted_set(codes), base)
    return left, right


def _sorted_set(codes: list[Int64s]) -> Int64s:
    together = np.sort(np.concatenate(codes))
    return together[firsts(together)]


def _counted(sets: Shingles, left: Int64s, right: Int64s) -> Int64s:
    """Return how many shingles each pair has in common."""
    used = np.zeros(len(sets.offsets) - 1, bool)
    used[left] = used[right] = True
    position = np.cumsum(used) - 1
    return shared(number(take(sets, np.flatnonzero(used))), position[left], position[right])


def _too_many() -> SeasDataError:
    return SeasDataError(
        f"more than {MOST_PAIRS // 1_000_000} million pairs of texts look alike; remove exact copies first, let the "
        "build find templates (templates.find), or raise the threshold"
    )
