"""Containment: the plain share by definition; quotations stand together and hold what is asked about."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seas_data.errors import SeasDataError
from seas_data.similarity import candidate_pairs
from seas_data.similarity.containment import find_contained, find_quotes
from tests.conftest import examples
from tests.similarity.definition import grams

few_letters = st.text(alphabet="ab c", max_size=25)


@examples(40)
@given(
    st.lists(few_letters, max_size=8),
    st.lists(few_letters, max_size=12),
    st.sampled_from([0.1, 0.3, 0.5, 0.8, 1.0]),
)
def test_containment_matches_brute_force(queries: list[str], texts: list[str], threshold: float) -> None:
    query, text, score = find_contained(queries, texts, threshold)
    expected = {
        (i, j): len(grams(one) & grams(other)) / len(grams(one))
        for i, one in enumerate(queries)
        for j, other in enumerate(texts)
        if len(grams(one) & grams(other)) / len(grams(one)) >= threshold
    }
    found = list(zip(query.tolist(), text.tolist(), strict=True))
    assert found == sorted(expected)
    assert score.tolist() == [expected[pair] for pair in found]


OPENINGS = ["what is the history of", "how do people in the city make", "please write a short story about"]


def everyday(count: int) -> list[str]:
    chance = random.Random(4)
    things = ["".join(chance.choices("abcdefghilmnoprstuvw", k=8)) for _ in range(400)]
    return [f"{chance.choice(OPENINGS)} {' and '.join(chance.sample(things, 3))}?" for _ in range(count)]


QUESTION = "what is the history of porcelain teapots?"


def scores(texts: list[str], query: str = QUESTION, threshold: float = 0.8) -> dict[int, float]:
    _, text, score = find_quotes([query], everyday(1500) + texts, threshold)
    return dict(zip((text - 1500).tolist(), score.tolist(), strict=True))


def test_a_copy_is_found_alone_and_inside_a_longer_text() -> None:
    story = "Once there was a man who liked his garden more than anything else in the world. " * 5
    found = scores([QUESTION.upper(), f"{story} He asked: {QUESTION} {story}", story])
    assert found == {0: 1.0, 1: 1.0}


def test_a_small_change_is_still_a_quote() -> None:
    (score,) = scores(["what is the long history of porcelain teapots?"]).values()
    assert 0.8 < score < 1


def test_a_common_opening_is_not_a_quote() -> None:
    """Two thirds of the characters are the same, but not the ones that say what is asked about."""
    other = "what is the history of porcelain in japan?"
    plain = find_contained([QUESTION], [other], 0.6)[2].tolist()
    assert plain[0] > 0.7
    assert not scores([other], threshold=0.7)


def test_scattered_pieces_are_not_a_quote() -> None:
    filler = "The weather stayed mild for all of that long week. " * 4
    pieces = f"what is the history of {filler} y of porcelain {filler} in teapots?"
    assert find_contained([QUESTION], [pieces], 0.8)[2].tolist()[0] > 0.8
    assert not scores([pieces])


def test_the_score_never_exceeds_the_plain_proportion() -> None:
    texts = everyday(300)
    queries = [text.replace("history", "story") for text in texts[:20]]
    query, text, score = find_quotes(queries, texts, 0.5)
    plain = {
        (i, j): value for i, j, value in zip(*map(np.ndarray.tolist, find_contained(queries, texts, 0.5)), strict=True)
    }
    assert len(score) >= 20
    assert all(value <= plain[i, j] for i, j, value in zip(query.tolist(), text.tolist(), score.tolist(), strict=True))


def test_empty_input_has_no_quotes() -> None:
    for queries, texts in (([], ["a cup of tea"]), (["a cup of tea"], []), ([], [])):
        assert [len(part) for part in find_quotes(queries, texts, 0.8)] == [0, 0, 0]


def test_more_pairs_than_the_limit_raise_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidate_pairs, "MAX_PAIRS", 100)
    with pytest.raises(SeasDataError, match=r"over 100 pairs .* curation\.contamination\.ngram_threshold"):
        find_quotes([QUESTION] * 20, [QUESTION] * 20, 0.8)
