"""Candidate pairs of texts from MinHash bands: texts with one key are a bucket, and its pairs are listed.

A large bucket is split first, because its pairs grow with the square of its texts.
"""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from seas_data.progress import bar
from seas_data.similarity.candidate_pairs import Int64s, slice_by_pair_count
from seas_data.similarity.shingles import concatenate_ranges, mix_bits, starts_run

LARGE_BUCKET = 1 << 20
"""Pairs of texts with one key (each in both orders) above which their sketches must agree in a group of columns."""
AGREEMENT = 0.99
"""Probability that two sets at the threshold agree in such a group, in one band: if all their buckets are large, the
bands together find them less often by at most 0.0011 (for thresholds from 0.4 to 0.9; simulated as in the tests).
Below 0.37 buckets are not split; at 0.38 the simulation says 0.0025."""


class BandKeys(Protocol):
    """The MinHash keys of all texts, band by band."""

    def __len__(self) -> int:
        """The number of bands."""

    def __iter__(self) -> Iterator[NDArray[np.uint64]]:
        """Yield the keys of each band."""


def generate_candidates(
    keys: BandKeys,
    rows: int,
    sketches: NDArray[np.uint8],
    block: Int64s,
    later: NDArray[np.bool_],
    threshold: float,
    advice: str,
) -> Iterator[tuple[Int64s, Int64s]]:
    """Yield the pairs of texts that share a key, without pairs of one block and pairs of two earlier texts.

    Texts that share a phrase share some keys, and their number grows with that of the texts: in one band of ten million
    generated texts 92,408 of them had one key. Of a large bucket only those pairs are yielded whose sketches agree in
    a group of columns too, as if it had bands of its own.

    ``keys``: for each band, the key of each text. ``rows``: the orders of shingles that a key combines. ``sketches``:
    see ``compute_minhash``. ``block``: the number of each text's block, or 0.

    Raises SeasDataError, with ``advice``, for more pairs than ``candidate_pairs.require_pair_limit`` allows in a band,
    or in a group of columns of its large buckets.
    """
    with bar(len(keys), "near duplicates", "bands") as progress:
        for number, band in enumerate(keys):
            text, bucket, size = _find_buckets(band)
            is_large = size * np.bincount(bucket, later[text])[bucket] > LARGE_BUCKET
            if is_large.any():
                own = range(number * rows, (number + 1) * rows)  # texts of a bucket agree in these columns
                groups = _group_columns(
                    [each for each in range(sketches.shape[1]) if each not in own], number, threshold
                )
                is_large[is_large] = _have_fewer_pairs(bucket[is_large], sketches, text[is_large], groups)
            large_text, large_bucket = text[is_large], bucket[is_large]
            for columns in groups if len(large_text) else ():
                place, part, _ = _find_buckets(_split_buckets(large_bucket, sketches, large_text, columns))
                yield from _list_bucket_pairs(large_text[place], part, block, later, advice)
            yield from _list_bucket_pairs(text[~is_large], bucket[~is_large], block, later, advice)
            progress.update()


def _group_columns(columns: list[int], seed: int, threshold: float) -> list[list[int]]:
    """Return groups of ``columns`` of a sketch, in at least one of which two sets at ``threshold`` agree.

    They do with a probability of at least ``AGREEMENT``, and the groups are as large as that permits. There is none
    if even groups of two do not reach it. Each ``seed`` gives other groups, so that a pair missed in one band is hardly
    ever missed in another.
    """
    order = np.argsort(mix_bits(np.asarray(columns, np.uint64) + np.uint64(seed << 32)))
    shuffled = [columns[place] for place in order]
    for size in range(len(columns), 1, -1):
        count = len(columns) // size
        if 1 - (1 - min(threshold, 1.0) ** size) ** count >= AGREEMENT:
            return [shuffled[size * group : size * (group + 1)] for group in range(count)]
    return []


def _split_buckets(bucket: Int64s, sketches: NDArray[np.uint8], text: Int64s, columns: list[int]) -> NDArray[np.uint64]:
    """Return a key for each of the texts ``text``: equal for those of one ``bucket`` that agree in ``columns``."""
    keys = mix_bits(bucket.astype(np.uint64))  # a sketch must not make one bucket number another
    for column in columns:
        keys = mix_bits(keys ^ sketches[text, column])
    return keys


def _have_fewer_pairs(
    bucket: Int64s, sketches: NDArray[np.uint8], text: Int64s, groups: list[list[int]]
) -> NDArray[np.bool_]:
    """Return for each of the texts ``text`` whether its ``bucket`` has fewer pairs if split by all ``groups``.

    It has not if its texts are alike.
    """
    _, number = np.unique(bucket, return_inverse=True)
    pairs = np.bincount(number).astype(np.float64) ** 2
    in_parts = np.zeros(len(pairs))
    for columns in groups:
        place, _, size = _find_buckets(_split_buckets(bucket, sketches, text, columns))
        in_parts += np.bincount(number[place], size, len(pairs))
    fewer: NDArray[np.bool_] = (in_parts < pairs)[number] & bool(groups)
    return fewer


def _find_buckets(keys: NDArray[np.uint64]) -> tuple[Int64s, Int64s, Int64s]:
    """Return the texts whose key is that of another one, by key, with the number of their bucket and its size."""
    order = np.argsort(keys)
    bucket = np.cumsum(starts_run(keys[order])) - 1
    size = np.bincount(bucket)[bucket]
    common = size > 1
    return order[common], bucket[common], size[common]


def _list_bucket_pairs(
    text: Int64s, bucket: Int64s, block: Int64s, later: NDArray[np.bool_], advice: str
) -> Iterator[tuple[Int64s, Int64s]]:
    """Yield the pairs of texts of one bucket, without pairs of one block and pairs of two earlier texts.

    A bucket lists the earlier texts before the later ones, each part sorted by block. The partners of a later text are
    the texts after it (after its block, if it has one); those of an earlier text are all later texts outside its own
    block.
    """
    width = int(block.max(initial=0)) + 1
    position = (2 * bucket + later[text]) * width + block[text]
    order = np.argsort(position)
    text, bucket, position = text[order], bucket[order], position[order]

    later_start, end = (np.searchsorted(position, (2 * bucket + part) * width) for part in (1, 2))
    own = (2 * bucket + 1) * width + block[text]
    single = np.maximum(later_start, np.arange(1, len(text) + 1))
    own_start = np.where(block[text] == 0, single, np.searchsorted(position, own))
    own_end = np.where(block[text] == 0, single, np.searchsorted(position, own + 1))
    before = np.where(later[text], 0, own_start - later_start)

    left = np.concatenate([text, text])
    starts = np.concatenate([later_start, own_end])
    counts = np.concatenate([before, end - own_end])
    for part in slice_by_pair_count(counts, advice, len(block)):
        yield np.repeat(left[part], counts[part]), text[concatenate_ranges(starts[part], counts[part])]
