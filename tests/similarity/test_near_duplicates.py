"""Near duplicates: against all pairs by definition, and what must never be listed is never listed."""

import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from seas_data.errors import SeasDataError
from seas_data.similarity import candidate_pairs, minhash_buckets, near_duplicates
from seas_data.store.parts import Parts
from seas_data.text import normalise
from tests.conftest import examples
from tests.similarity.definition import grams

WORDS = ["apple", "bread", "candle", "dinner", "engine", "forest", "garden", "harbour", "island", "jacket", "kettle"]


def family(seed: int, size: int) -> list[str]:
    """Texts of which many are changed copies of earlier ones."""
    chance = random.Random(seed)
    texts: list[str] = []
    for _ in range(size):
        if texts and chance.random() < 0.6:
            words = chance.choice(texts).split()
            for _ in range(chance.randint(1, 3)):
                words[chance.randrange(len(words))] = chance.choice(WORDS) + str(chance.randrange(50))
        else:
            words = [chance.choice(WORDS) + str(chance.randrange(50)) for _ in range(chance.randint(3, 25))]
        texts.append(" ".join(words))
    return list(dict.fromkeys(texts))


def all_pairs(texts: list[str], threshold: float) -> dict[tuple[int, int], float]:
    numbers: dict[str, int] = {}
    sets = [[numbers.setdefault(gram, len(numbers)) for gram in grams(text)] for text in texts]
    sizes = np.array([len(one) for one in sets])
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    held = scipy.sparse.csr_array((np.ones(offsets[-1]), np.concatenate(sets), offsets), (len(texts), len(numbers)))
    common = (held @ held.T).toarray()
    score = common / (sizes[:, None] + sizes[None] - common)
    return {(i, j): score[i, j] for i, j in np.argwhere(score >= threshold).tolist() if i < j}


def as_dict(found: near_duplicates.Pairs) -> dict[tuple[int, int], float]:
    return dict(
        zip(
            zip(found.left.tolist(), found.right.tolist(), strict=True), found.score.astype(float).tolist(), strict=True
        )
    )


@pytest.mark.parametrize("threshold", [0.4, 0.6, 0.8, 0.9])
def test_pairs_and_scores_match_brute_force(threshold: float) -> None:
    texts = family(1, 700)
    truth, found = all_pairs(texts, threshold), as_dict(near_duplicates.find_pairs(texts, threshold))
    assert len(truth) > 20
    assert found.keys() <= truth.keys()
    assert len(found) >= 0.995 * len(truth)
    assert all(abs(score - truth[pair]) < 1e-6 for pair, score in found.items())


@pytest.mark.parametrize("threshold", [0.2, 0.4, 0.6, 0.8, 1.0])
def test_few_pairs_of_large_buckets_are_missed(threshold: float, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [*family(1, 700), *(text + "s." for text in family(1, 300))]
    truth = all_pairs(texts, threshold)
    monkeypatch.setattr(minhash_buckets, "LARGE_BUCKET", 0)
    found = as_dict(near_duplicates.find_pairs(texts, threshold))
    assert len(truth) > 200 or threshold == 1
    assert found.keys() <= truth.keys()
    assert len(found) >= 0.99 * len(truth)


def test_texts_that_share_a_phrase_are_hardly_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(4)
    phrase = "what does the gardener keep beside "
    texts = [
        phrase + " ".join(f"{chance.choice(WORDS)}{chance.randrange(999)}" for _ in range(9)) for _ in range(2_000)
    ]
    texts += [f"{text}!" for text in texts[:100]]
    filtered = near_duplicates._filter_by_sketch
    looked_at: list[int] = []

    def count(candidates: Any, *given: Any) -> Any:
        return filtered(((looked_at.append(len(one)), (one, other))[1] for one, other in candidates), *given)

    monkeypatch.setattr(near_duplicates, "_filter_by_sketch", count)
    found, pairs = {}, {}
    for limit in (0, 1 << 40):
        looked_at.clear()
        monkeypatch.setattr(minhash_buckets, "LARGE_BUCKET", limit)
        found[limit] = as_dict(near_duplicates.find_pairs(texts, 0.6))
        pairs[limit] = sum(looked_at)
    assert found[0].keys() == found[1 << 40].keys() >= {(at, 2_000 + at) for at in range(100)}
    assert pairs[0] < 0.5 * pairs[1 << 40], "few of the pairs that share a key by their phrase"


@pytest.mark.parametrize("earlier", [0, 1_990], ids=["all new", "few new"])
def test_buckets_of_texts_that_are_alike_or_mostly_earlier_are_not_split(
    earlier: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "please describe in a few words what the gardener keeps beside the old blue jug on the sill of the window "
    texts = [f"{text} {number}" for number in range(300 if not earlier else 2_000)]
    monkeypatch.setattr(minhash_buckets, "LARGE_BUCKET", 50_000)
    split: list[bool] = []
    decide = minhash_buckets._have_fewer_pairs
    monkeypatch.setattr(
        minhash_buckets, "_have_fewer_pairs", lambda *given: (fewer := decide(*given), split.append(fewer.any()))[0]
    )
    is_earlier = np.arange(len(texts)) < earlier
    found = near_duplicates.find_pairs(texts, 0.6, earlier=is_earlier)
    new = len(texts) - earlier
    assert len(found.left) == new * (new - 1) // 2 + new * earlier
    assert bool(split) == (not earlier), "only large buckets are looked at"
    assert not any(split)


def test_pairs_are_distinct_sorted_and_typed() -> None:
    found = near_duplicates.find_pairs(family(2, 300), 0.5)
    pairs = list(zip(found.left.tolist(), found.right.tolist(), strict=True))
    assert pairs == sorted(set(pairs))
    assert (found.left < found.right).all()
    assert (found.left.dtype, found.right.dtype, found.score.dtype) == (np.int64, np.int64, np.float32)


@examples(25)
@given(st.integers(0, 10**6), st.data())
def test_blocks_and_earlier_texts_exclude_exactly_their_pairs(seed: int, data: st.DataObject) -> None:
    texts = family(seed, 60)
    blocks = np.array(data.draw(st.lists(st.integers(-1, 3), min_size=len(texts), max_size=len(texts))))
    earlier = np.array(data.draw(st.lists(st.booleans(), min_size=len(texts), max_size=len(texts))))
    everything = as_dict(near_duplicates.find_pairs(texts, 0.5))
    wanted = {
        (i, j): score
        for (i, j), score in everything.items()
        if not (blocks[i] == blocks[j] >= 0) and not (earlier[i] and earlier[j])
    }
    assert as_dict(near_duplicates.find_pairs(texts, 0.5, blocks=blocks, earlier=earlier)) == wanted


def test_pairs_within_a_block_are_never_enumerated(monkeypatch: pytest.MonkeyPatch) -> None:
    wrapper = "Please imagine that you are a very patient gardener who explains everything slowly and in detail: "
    texts = [f"{wrapper} {at}" for at in range(2000)] + ["Please describe a windmill.", "Please describe a windmill!"]
    blocks = np.array([0] * 2000 + [-1, -1])
    monkeypatch.setattr(candidate_pairs, "MAX_PAIRS", 100)
    assert as_dict(near_duplicates.find_pairs(texts, 0.6, blocks=blocks)).keys() == {(2000, 2001)}
    earlier = np.array([True] * 2000 + [False, False])
    assert as_dict(near_duplicates.find_pairs(texts, 0.6, earlier=earlier)).keys() == {(2000, 2001)}
    with pytest.raises(SeasDataError, match=r"templates\.detect"):
        near_duplicates.find_pairs(texts, 0.6)


def test_the_limit_of_pairs_that_are_only_looked_at_grows_with_the_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidate_pairs, "MAX_PAIRS", 10)
    counts = np.full(1000, candidate_pairs.PAIRS_PER_TEXT)
    assert list(candidate_pairs.slice_by_pair_count(counts, "advice", 1000)) == [slice(0, 1000)]
    for refused, texts in ((counts, 0), (counts + 1, 1000)):
        with pytest.raises(SeasDataError, match="pairs of texts look alike: advice"):
            list(candidate_pairs.slice_by_pair_count(refused, "advice", texts))


@pytest.mark.parametrize("merged_at_once", [4, 1 << 22])
def test_more_distinct_pairs_than_the_limit_raise_an_error(
    merged_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidate_pairs, "MAX_PAIRS", 12)
    monkeypatch.setattr(candidate_pairs, "_PAIRS_PER_SLICE", merged_at_once // 4)
    pairs = np.array([(left, right) for left in range(4) for right in range(4, 7)]).T
    repeated = [(left, right) for left, right in np.split(np.tile(pairs, 3), 4, axis=1)]
    merged = candidate_pairs.merge_distinct(repeated, 8, "advice")
    assert np.array_equal(merged, pairs)
    more = [*repeated, (np.array([5]), np.array([7])), *repeated]
    rest = iter(more)
    with pytest.raises(SeasDataError, match="over 12 pairs of texts look alike: advice"):
        candidate_pairs.merge_distinct(rest, 8, "advice")
    assert bool(list(rest)) == (merged_at_once == 4), "before all of them are in memory"


def test_a_band_may_have_many_pairs_of_each_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidate_pairs, "MAX_PAIRS", 1)
    texts, same = np.arange(4), np.zeros(4, np.int64)
    listed = list(minhash_buckets._list_bucket_pairs(texts, same, same, np.ones(4, bool), "advice"))
    assert sum(len(left) for left, _ in listed) == 6


def test_a_part_of_a_text_that_is_as_large_as_the_threshold_is_found() -> None:
    assert as_dict(near_duplicates.find_pairs(["abcdefgh", "abcdefghi"], 0.8)) == {(0, 1): pytest.approx(0.8)}


@examples(10)
@given(st.integers(0, 10**6), st.integers(3, 50), st.integers(500, 5_000), st.booleans())
def test_pairs_and_scores_do_not_depend_on_the_sizes_of_the_buffers(
    seed: int, texts_per_part: int, shingles_per_block: int, as_column: bool
) -> None:
    texts = family(seed, 40)
    whole = near_duplicates.find_pairs(texts, 0.5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near_duplicates, "TEXTS_PER_PART", texts_per_part)
        patch.setattr(near_duplicates, "SHINGLES_PER_BLOCK", shingles_per_block)
        patch.setattr(near_duplicates, "BYTES_IN_MEMORY", 1)
        parts = near_duplicates.find_pairs(pl.Series(texts) if as_column else texts, 0.5)
    assert as_dict(parts) == as_dict(whole)


def test_a_text_in_many_pairs_of_a_block_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = np.full(90, 10)
    left, right = np.triu_indices(90, 1)
    monkeypatch.setattr(near_duplicates, "SHINGLES_PER_BLOCK", 1_000)
    for pairs, blocks in ((10_000, 1), (2_500, 2)):
        monkeypatch.setattr(near_duplicates, "PAIRS_PER_BLOCK", pairs)
        slices = list(near_duplicates._slice_pairs(sizes, left, right))
        assert np.concatenate([np.arange(len(left))[each] for each in slices]).tolist() == list(range(len(left)))
        assert len(slices) == blocks


def test_more_pairs_than_the_limit_raise_an_error() -> None:
    with pytest.raises(SeasDataError, match="over 50,000,000 pairs"):
        near_duplicates.find_pairs(["a walk along the river in spring"] * 12_000, 0.8)


def test_case_spacing_and_shortness() -> None:
    texts = ["Green  Tea and cake", "green tea\nand cake", "tea", "TEA", "te", ""]
    assert as_dict(near_duplicates.find_pairs(texts, 0.8)) == {(0, 1): 1.0, (2, 3): 1.0}


def test_no_text_and_one_text_have_no_pairs() -> None:
    assert (
        len(near_duplicates.find_pairs([], 0.8).left)
        == len(near_duplicates.find_pairs(["a cup of tea"], 0.8).left)
        == 0
    )


@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.5, 0.6, 0.8, 0.9, 0.99, 1.0])
def test_bands_reach_the_recall_at_the_threshold(threshold: float) -> None:
    bands, rows = near_duplicates.choose_bands(threshold)
    assert 1 - (1 - threshold**rows) ** bands >= near_duplicates.RECALL
    assert bands * rows <= near_duplicates.MAX_PERMUTATIONS


@pytest.mark.parametrize("threshold", [0.4, 0.6, 0.8, 0.88])
def test_few_pairs_at_the_threshold_are_missed_if_all_buckets_are_large(
    threshold: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of pairs whose first shingles agree, in each order, with the probability of the threshold."""
    bands, rows = near_duplicates.choose_bands(threshold)
    agrees = np.random.default_rng(0).random((25_000, bands * rows), np.float32) < threshold
    shares_key = agrees.reshape(-1, bands, rows).all(axis=2)
    one, other = np.arange(len(agrees)), np.arange(len(agrees), 2 * len(agrees))
    keys = [np.concatenate([one, np.where(shares, one, other)]).astype(np.uint64) for shares in shares_key.T]
    sketches = (~agrees[:, : near_duplicates.SKETCH_BYTES]).astype(np.uint8)
    sketches = np.concatenate([np.zeros_like(sketches), sketches])
    monkeypatch.setattr(minhash_buckets, "LARGE_BUCKET", 0)
    found = minhash_buckets.generate_candidates(
        keys, rows, sketches, np.zeros(len(sketches), np.int64), np.ones(len(sketches), bool), threshold, "advice"
    )
    left, right = np.sort(np.concatenate([np.stack(pairs) for pairs in found], axis=1), axis=0)
    assert (right - left == len(agrees)).all(), "no pairs of texts with different keys"
    shared = np.flatnonzero(shares_key.any(axis=1))
    assert np.isin(left, shared).all()
    assert len(shared) - len(np.unique(left)) < 0.001 * len(agrees)


def test_a_threshold_too_low_to_search_raises_an_error() -> None:
    with pytest.raises(SeasDataError, match=r"curation\.near\.group_threshold .* 0\.05 or more"):
        near_duplicates.find_pairs(["a cup of tea", "a cup of coffee"], 0.0)


@pytest.mark.real
@pytest.mark.parametrize("large_bucket", [minhash_buckets.LARGE_BUCKET, 0])
def test_recall_on_real_prompts(real: Path, large_bucket: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minhash_buckets, "LARGE_BUCKET", large_bucket)
    lines = [line for file in sorted(real.glob("*.jsonl")) for line in file.read_text("utf-8").split("\n") if line]
    rows = random.Random(3).sample(lines, 3000)
    texts = list({normalise(prompt): prompt for prompt in (json.loads(row)["prompt"] for row in rows)}.values())
    truth, found = all_pairs(texts, 0.6), as_dict(near_duplicates.find_pairs(texts, 0.6))
    assert len(truth) > 200
    assert found.keys() <= truth.keys()
    assert len(found) >= 0.99 * len(truth)


def found_arrays(pairs: near_duplicates.Pairs) -> list[Any]:
    return [pairs.left, pairs.right, pairs.score]


class Backwards:
    """An engine that runs the last unit first."""

    def run(self, function: Any, units: Iterable[Any], count: int, what: str, *, gpus: int = 0) -> None:
        for unit in reversed(list(units)):
            function(unit)


@pytest.mark.slow
@pytest.mark.parametrize("threshold", [0.6, 1.0])
def test_an_engine_finds_the_same_pairs_and_stores_parts_for_the_next_build(
    threshold: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = family(3, 120)
    expected = near_duplicates.find_pairs(texts, threshold)
    monkeypatch.setattr(near_duplicates, "TEXTS_PER_PART", 17)
    monkeypatch.setattr(near_duplicates, "SHINGLES_PER_BLOCK", 700)
    for parts in (Parts(tmp_path, Backwards()), Parts(tmp_path)):
        for column in (texts, pl.Series(texts)):
            found = near_duplicates.find_pairs(column, threshold, parts=parts)
            assert all(
                np.array_equal(each, other)
                for each, other in zip(found_arrays(found), found_arrays(expected), strict=True)
            )
    names = [path.name.partition("-")[0] for path in tmp_path.iterdir()]
    assert names.count("compute_signatures") == len(range(0, len(texts), 17))
    assert names.count("compare_partners") > 1 or threshold == 1.0
