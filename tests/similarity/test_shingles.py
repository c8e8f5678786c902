"""Shingles: the sets are those of the definition, and MinHash estimates their similarity."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seas_data.similarity.shingles import (
    build_shingle_sequences,
    build_shingles,
    compute_jaccard,
    compute_minhash,
    count_shared,
    number_values,
    restrict_to_pairs,
    select_sets,
)
from tests.conftest import examples
from tests.similarity.definition import grams, similarity

few_letters = st.text(alphabet="abß é字\n\U0001f600", max_size=40)


@examples(40)
@given(st.lists(few_letters | st.text(max_size=12), min_size=1, max_size=12))
def test_sets_and_shared_counts_match_brute_force(texts: list[str]) -> None:
    sets = build_shingles(texts)
    expected = [grams(text) for text in texts]
    assert sets.sizes.tolist() == [len(one) for one in expected]
    left, right = (side.ravel() for side in np.indices((len(texts), len(texts))))
    common = count_shared(number_values(sets), left, right)
    assert common.tolist() == [len(expected[i] & expected[j]) for i, j in zip(left, right, strict=True)]


def test_a_set_does_not_depend_on_the_position_of_its_text() -> None:
    """Texts are hashed in blocks of 256, and nothing of a neighbour or of the block may leak in."""
    texts = [f"tomato soup number {at} with basil" for at in range(600)]
    sets = build_shingles(texts)
    for at in (0, 255, 256, 599):
        alone = build_shingles([texts[at]])
        assert sets.values[sets.offsets[at] : sets.offsets[at + 1]].tolist() == alone.values.tolist()


def test_case_and_white_space_do_not_count_but_short_texts_and_their_lengths_do() -> None:
    sets = build_shingles(["Green  TEA\n", "green tea", "tea", "tea ", "te", ""])
    one, other, tea, spaced, te, empty = (
        sets.values[start:stop].tolist() for start, stop in zip(sets.offsets[:-1], sets.offsets[1:], strict=True)
    )
    assert one == other
    assert tea == spaced
    assert len(tea) == len(te) == len(empty) == 1
    assert len({*tea, *te, *empty}) == 3


def test_a_lone_surrogate_is_hashed_like_any_character() -> None:
    assert build_shingles(["ab\ud800cd"]).sizes.tolist() == [1]


def test_sequences_keep_order_and_repeats() -> None:
    running = build_shingle_sequences(["ababababa", "soup"])
    assert running.sizes.tolist() == [5, 1]
    first, second, third, fourth, fifth = running.values[:5].tolist()
    assert first == third == fifth != second == fourth


def test_selected_sets_keep_their_values_and_the_requested_order() -> None:
    sets = build_shingles(["a long walk in the park", "short", "a cup of tea"])
    taken = select_sets(sets, np.array([2, 0]))
    assert taken.sizes.tolist() == sets.sizes[[2, 0]].tolist()
    assert taken.values[: taken.sizes[0]].tolist() == sets.values[sets.offsets[2] :].tolist()
    few, left, right = restrict_to_pairs(sets, np.array([0]), np.array([2]))
    assert few.sizes.tolist() == sets.sizes[[0, 2]].tolist()
    assert (left.tolist(), right.tolist()) == ([0], [1])


def test_counts_are_the_same_across_batches() -> None:
    """The table of marks holds few texts at a time and the look-ups come in batches; both must line up."""
    texts = [" ".join(f"word{(at * step) % 97}" for step in range(1, 60)) for at in range(300)]
    sets = number_values(build_shingles(texts))
    left, right = (side.ravel() for side in np.triu_indices(len(texts), 1))
    assert sets.sizes[right].sum() > 1 << 20
    common = count_shared(sets, left, right)
    expected = [grams(text) for text in texts]
    some = range(0, len(left), 997)
    assert common[some].tolist() == [len(expected[left[at]] & expected[right[at]]) for at in some]


def test_jaccard_is_that_of_five_grams() -> None:
    sets = number_values(build_shingles(["abcdef", "the vault", "Same", "abcdefg", "something else", "same "]))
    assert compute_jaccard(sets, np.arange(3), np.arange(3, 6)).tolist() == [2 / 3, 0.0, 1.0]


@pytest.mark.slow
def test_minhash_agreement_estimates_jaccard() -> None:
    """Over 400 independent pairs of texts with a similarity of about a third, the mean must be very close to it."""
    chance = np.random.default_rng(5)
    words = ["".join(chance.choice(list("abcdefghiklmnoprstu"), 7)) for _ in range(5000)]
    texts, similar = [], []
    for _ in range(400):
        common, one, other = (" ".join(chance.choice(words, 12)) for _ in range(3))
        texts += [f"{common} {one}", f"{common} {other}"]
        similar.append(similarity(*texts[-2:]))
    keys, sketches = compute_minhash(build_shingles(texts), 40, 2)
    agree = (sketches[::2] == sketches[1::2]).mean()
    chance_of_equal_bytes = (1 - np.mean(similar)) / 256
    assert abs(agree - np.mean(similar) - chance_of_equal_bytes) < 0.01
    assert abs((keys[:, ::2] == keys[:, 1::2]).mean() - np.mean(np.square(similar))) < 0.01
