"""Windows cover each token of a long text; texts are alike if every window of each has a partner in the other."""

from itertools import pairwise

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from seas_data.similarity.cosine_neighbours import find_pairs
from seas_data.similarity.windows import (
    MAX_WINDOWS,
    count_windows,
    list_windows,
    pair_texts,
    write_means,
)
from tests.conftest import examples

THRESHOLD = 0.95


@examples(200)
@given(st.integers(8, 512), st.data())
def test_windows_cover_every_token_of_a_text(longest, data):
    reserved = data.draw(st.integers(0, longest // 4))
    tokens = data.draw(st.integers(reserved, longest * 20))
    (windows,) = count_windows(np.array([tokens]), longest, reserved).tolist()
    texts = pl.DataFrame({"key": ["k"], "tokens": [tokens], "longest": [longest], "windows": [windows]})
    listed = list_windows(texts)
    starts = listed["start"].to_list()
    size, content = longest - reserved, tokens - reserved
    assert (len(starts) == 1) == (tokens <= longest), "a text that the model reads to the end is one window"
    covered = {token for start in starts for token in range(start, min(start + size, content))}
    assert covered == set(range(content))
    assert starts[0] == 0 and (windows == 1 or starts[-1] + size == content), "no window is shorter than the others"
    overlaps = [one + size - other for one, other in pairwise(starts)]
    assert all(overlap >= longest // 4 - reserved for overlap in overlaps)
    assert listed["key"].to_list() == (["k"] if windows == 1 else [f"k:{start}" for start in starts])


def test_a_text_of_too_many_windows_has_none():
    most = 256 + 192 * (MAX_WINDOWS - 1)
    assert count_windows(np.array([most, most + 1]), 256, 2).tolist() == [MAX_WINDOWS, 0]
    assert count_windows(np.array([256, 257]), 256, 100).tolist() == [1, 0], "with this prompt, windows leave gaps"


def unit(degrees: list[float]) -> np.ndarray:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def similar(texts: list[list[float]]) -> dict[tuple[int, int], float]:
    """The pairs of texts, given as the angles of their windows."""
    owner = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
    found = find_pairs(unit([angle for text in texts for angle in text]), THRESHOLD)
    pairs = pair_texts(found, owner)
    return dict(zip(zip(pairs.left.tolist(), pairs.right.tolist(), strict=True), pairs.score.tolist(), strict=True))


def score(one: list[float], other: list[float]) -> float:
    """The definition: the lowest cosine of a window of either text to its nearest window of the other."""
    cosines = np.cos(np.radians(np.subtract.outer(one, other)))
    return float(min(cosines.max(axis=0).min(), cosines.max(axis=1).min()))


texts_of_windows = st.lists(st.lists(st.sampled_from([0, 7, 14, 21, 60, 67]), min_size=1, max_size=3), max_size=7)


@examples(100)
@given(texts_of_windows)
def test_texts_are_paired_if_every_window_of_each_has_a_partner(texts):
    expected = {
        (one, other): score(texts[one], texts[other])
        for other in range(len(texts))
        for one in range(other)
        if score(texts[one], texts[other]) >= THRESHOLD
    }
    found = similar(texts)
    assert found.keys() == expected.keys()
    np.testing.assert_allclose([found[pair] for pair in expected], list(expected.values()), atol=1e-6)


@examples(50)
@given(texts_of_windows, texts_of_windows)
def test_a_pair_is_symmetric_and_does_not_depend_on_other_texts(texts, others):
    found, count = similar(texts), len(texts)
    turned = similar(texts[::-1])
    assert found == {(count - 1 - b, count - 1 - a): value for (a, b), value in turned.items()}
    among = similar([*texts, *others])
    assert found == {pair: value for pair, value in among.items() if max(pair) < count}


def test_the_vector_of_a_long_text_is_the_unit_mean_of_its_windows():
    vectors = unit([10.0, 0.0, 40.0, 33.0, 63.0, 1.0, 2.0])
    before = vectors.copy()
    write_means(vectors, np.array([], np.int64), np.array([], np.int64))
    assert vectors.tobytes() == before.tobytes()
    write_means(vectors, np.array([3, 0]), np.array([2, 3]))
    np.testing.assert_allclose(vectors[5], unit([48.0])[0], atol=1e-6)
    mean = vectors[:3].mean(axis=0)
    np.testing.assert_allclose(vectors[6], mean / np.linalg.norm(mean), atol=1e-6)
    assert vectors[:5].tobytes() == before[:5].tobytes()
