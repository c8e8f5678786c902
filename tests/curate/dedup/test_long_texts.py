"""Long texts with one wrapper: another request keeps both; a typing error, or other words throughout, does not."""

from difflib import SequenceMatcher
from itertools import product

import numpy as np
import polars as pl
import pytest

from seas_data.curate.dedup.edges import find_edges
from seas_data.curate.dedup.items import collect_items
from seas_data.curate.dedup.long_texts import find_different_words
from seas_data.similarity.embeddings import Embedded
from tests.curate.dedup.test_edges import pairs, prompts, wrapped
from tests.curate.settings import curation

BREAD = "Tell me how to bake bread"
NAMES = [*map("".join, product(("kel", "sor", "bim", "tan", "ruf", "lod"), ("apo", "iru", "esk", "ond", "ulg", "atz")))]
REST = ["garden", "kitchen", "candle", "winter", "basket", "apron", "window", "kettle"]


def wrap(request: str, seed: int = 0) -> str:
    """Put ``request`` into the middle of a long text about a kitchen."""
    words = np.random.default_rng(seed).permutation([f"{name}{end}" for name in NAMES for end in "aeiou"]).tolist()
    return f"{' '.join(words[:90])} {' '.join(REST)}. {request}. {' '.join(words[90:])}"


def replace(text: str, one_in: int, start: int = 0) -> str:
    """Replace one in so many words of ``text`` from the word at ``start``."""
    return " ".join(
        f"nxw{at}qq" if at >= start and (at + 1) % one_in == 0 else word for at, word in enumerate(text.split())
    )


SAME = wrap(BREAD)
CASES = {
    "another request in one wrapper": (wrap("When does the last tram leave the market square"), True),
    "two other words": (wrap("Tell me how to repair bikes"), True),
    "one other word": (wrap("Tell me how to bake cakes"), True),
    "no request in one of them": (wrap(""), True),
    "a request more": (f"{SAME} And where is the key?", True),
    "a spelling": (SAME.replace("candle", "candel").replace("kettle", "kettles"), False),
    "the same text": (SAME.upper(), False),
    "its halves in the other order": (" ".join([*SAME.split()[140:], *SAME.split()[:140]]), False),
    "another wrapper": (wrap(BREAD, seed=1), False),
    "no wrapper": (BREAD, False),
    "the wrapper twice": (f"{SAME} {SAME}", False),
    "a small part of a longer text": (f"{SAME} {wrap(BREAD, seed=1)} {wrap(BREAD, seed=2)}", False),
    "common runs of eight words": (replace(SAME, 9), True),
    "common runs of seven words": (replace(SAME, 8), False),
    "six of ten words in common": (replace(SAME, 1, start=len(SAME.split()) * 6 // 10), True),
    "four of ten words in common": (replace(SAME, 1, start=len(SAME.split()) * 4 // 10), False),
}


@pytest.mark.parametrize("name", CASES)
def test_texts_differ_if_they_share_a_wrapper_and_not_all_words(name: str) -> None:
    other, differ = CASES[name]
    both = pl.DataFrame({"left": [0, 1], "right": [1, 0]})
    assert find_different_words(both, pl.Series([SAME, other])).to_list() == [differ, differ]


def test_scripts_without_spaces_are_compared_by_characters() -> None:
    kitchen = "厨房里有一口大锅和三只小碗旁边放着面粉盐水油和一把旧木勺窗台上摆着蓝色的花盆"
    texts = pl.Series([f"{kitchen}面包要烤多久", f"{kitchen}末班车几点开走", f"{kitchen}。"])
    both = pl.DataFrame({"left": [0, 0], "right": [1, 2]})
    assert find_different_words(both, texts).to_list() == [True, True]
    assert find_different_words(both.clear(), texts).to_list() == []


@pytest.mark.parametrize(("respelled", "differ"), [(100, False), (101, True)])
def test_few_words_may_be_spelled_in_another_way(respelled: int, differ: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["".join(letters) for letters in np.random.default_rng(0).choice(list("abcdefghiklmnoprstuv"), (400, 8))]
    common, rest = " ".join(words[:200]), words[200 : 200 + respelled]
    texts = pl.Series([f"{common} {' '.join(rest)}", f"{common} {' '.join(f'{word}z' for word in rest[::-1])}"])
    compared: list[str] = []
    ratio = SequenceMatcher.ratio
    monkeypatch.setattr(SequenceMatcher, "ratio", lambda self: (compared.append(self.b), ratio(self))[1])
    assert find_different_words(pl.DataFrame({"left": [0], "right": [1]}), texts).to_list() == [differ]
    if differ:
        assert not compared, "too many to be compared"
    else:
        assert 200 <= len(compared) < 2_000, "the letters of few of 20,000 pairs of words"


@pytest.mark.parametrize(("windows", "near"), [(2, False), (2, True), (1, False), (1, True)])
def test_long_texts_with_different_requests_are_related_and_short_ones_as_before(windows: int, near: bool) -> None:
    texts = {"a": SAME, "b": CASES["two other words"][0], "c": CASES["a spelling"][0]}
    compared = collect_items(prompts(*texts.items()), wrapped())
    lookup = compared.items.select(
        model=pl.lit("point"),
        row=pl.int_range(pl.len(), dtype=pl.Int64) * windows,
        windows=pl.lit(windows, pl.Int64),
    )
    embedded = Embedded(lookup, {"point": np.tile(np.array([[1, 0]], np.float32), (3 * windows, 1))})
    edges = find_edges(compared, embedded, curation() if near else curation(near=None))
    duplicate = "near_duplicate" if near else "semantic_duplicate"
    other = duplicate if windows == 1 else "related"
    assert {(one, two): reason for one, two, reason in pairs(edges.duplicates)} == {
        ("a", "b"): other,
        ("b", "c"): other,
        ("a", "c"): duplicate,
    }
