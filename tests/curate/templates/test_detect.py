"""Templates: planted wrappers are found with their payloads, and nothing else is."""

import json
from collections.abc import Sequence
from pathlib import Path
from random import Random

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seas_data import folding, recipe, tables
from seas_data.curate.templates import detect, window_store, winnowing
from seas_data.curate.templates.detect import DetectedTemplates, detect_templates
from seas_data.curate.templates.payloads import extract_payloads, trim_piece
from seas_data.curate.templates.shared_segments import extract_gaps, find_shared_segments, find_spans
from seas_data.similarity import near_duplicates
from seas_data.text import normalise
from tests.conftest import examples
from tests.curate.settings import TEMPLATES

SETTINGS = TEMPLATES
FEW = TEMPLATES.model_copy(update={"min_rows": 6})
seeds = st.integers(0, 10**6)


def words(random: Random, count: int) -> str:
    """Return words without meaning: two such texts share no passage."""
    return " ".join("".join(random.choices("abcdefghijklmnoprstuvwxyz", k=random.randint(2, 9))) for _ in range(count))


def prompts(texts: Sequence[str]) -> pl.DataFrame:
    return pl.DataFrame({"prompt_id": [f"{i:05}" for i in range(len(texts))], "text": texts})


def payloads(found: DetectedTemplates) -> dict[str, str]:
    return {prompt_id: payload for prompt_id, _, payload in found.templates.iter_rows()}


def sizes(found: DetectedTemplates) -> list[int]:
    return sorted(found.templates.group_by("template_id").len()["len"].to_list(), reverse=True)


# Finding


@given(seeds, st.sampled_from(["prefix", "suffix", "both", "middle", "twice"]))
@examples(25)
def test_planted_wrappers_and_payloads_are_found(seed: int, shape: str) -> None:
    random = Random(seed)
    planted, expected = [], []
    for _ in range(random.randint(1, 4)):
        first, second = (words(random, random.randint(18, 60)) for _ in range(2))
        for _ in range(random.randint(6, 30)):
            asked, other = words(random, random.randint(5, 12)), words(random, random.randint(5, 12))
            text, payload = {
                "prefix": (f"{first}: {asked}", asked),
                "suffix": (f"{asked}. {second}", f"{asked}."),
                "both": (f'{first}: "{asked}?"\n{second}', f"{asked}?"),
                "middle": (f"{asked}. {first}: {other}", f"{asked}. {other}"),
                "twice": (f"{first}: {asked}! {second}\n\n{asked.upper()}!", f"{asked}!"),
            }[shape]
            planted.append(text)
            expected.append(payload)
    plain = [words(random, random.randint(4, 40)) for _ in range(40)]
    found = detect_templates(prompts([*planted, *plain]), FEW)
    assert payloads(found) == {f"{i:05}": payload for i, payload in enumerate(expected)}


@given(seeds)
@examples(20)
def test_texts_without_a_wrapper_have_no_template(seed: int) -> None:
    random = Random(seed)
    openings = ["Generate a list of ", "Write a short story about ", "What is the difference between "]
    texts = [random.choice(openings) + words(random, random.randint(3, 30)) for _ in range(200)]
    found = detect_templates(prompts([*texts, *texts[:50], "", " \n", "a"]), FEW)
    assert found.templates.is_empty()
    assert found.wrappers.is_empty()


@given(seeds)
@examples(15)
def test_the_result_does_not_depend_on_row_order_or_ids(seed: int) -> None:
    random = Random(seed)
    texts = [words(random, 20) for _ in range(30)]
    for _ in range(5):
        wrapper = words(random, random.randint(12, 40))
        texts += [f"{wrapper}: {random.choice(texts[:30])}" for _ in range(random.randint(6, 40))]
    rows = prompts(texts)
    once = detect_templates(rows, FEW)
    shuffled = detect_templates(rows.sample(fraction=1, shuffle=True, seed=seed), FEW)
    assert shuffled.templates.sort("prompt_id").equals(once.templates)
    assert shuffled.wrappers.equals(once.wrappers)


@given(seeds)
@examples(15)
def test_earlier_wrappers_keep_their_ids_when_rows_are_added(seed: int) -> None:
    random = Random(seed)
    known, new = words(random, 25), words(random, 25)
    first = detect_templates(prompts([f"{known}: {words(random, 8)}" for _ in range(10)]), FEW)
    # Every later row of the known wrapper goes on alike, so that on their own they would make a longer one.
    later = [f"{known}: indeed and above all {words(random, 8)}" for _ in range(10)]
    later += [f"{words(random, 8)} {new}" for _ in range(10)]
    second = detect_templates(prompts(later), FEW, first.wrappers)
    assert second.templates["template_id"][:10].unique().to_list() == first.wrappers["template_id"].to_list()
    assert sizes(second) == [10, 10]
    assert second.wrappers.height == 2
    # A single row of a known wrapper is enough; one of a new wrapper is not.
    third = detect_templates(
        prompts([f"{known}: fold a paper crane", f"fold a crane {words(random, 25)}"]), FEW, first.wrappers
    )
    assert payloads(third) == {"00000": "fold a paper crane"}


def test_a_request_in_many_wrappers_is_not_a_wrapper() -> None:
    random = Random(1)
    asked = [f"{words(random, 14)}?" for _ in range(22)]
    wrappers = [words(random, 80) for _ in range(26)]
    # Each request is in more texts (27) than each wrapper (22).
    texts = [*asked, *(f"{wrapper}: {request}" for wrapper in wrappers for request in asked)]
    found = detect_templates(prompts(texts), SETTINGS)
    assert sizes(found) == [22] * 26
    assert set(payloads(found).values()) == set(asked)
    assert found.templates["prompt_id"].min() == "00022"


def test_variants_of_a_wrapper_are_separate_templates() -> None:
    random = Random(2)
    closing = words(random, 14)
    texts, asked = [], []
    for _ in range(4):
        story = words(random, 40)
        for _ in range(25):
            asked.append(f"{words(random, 10)}?")
            texts.append(f"{story}: {asked[-1]} {closing}")
    # Others have the closing only.
    for _ in range(25):
        asked.append(f"{words(random, 10)}?")
        texts.append(f"{asked[-1]} {closing}")
    found = detect_templates(prompts(texts), SETTINGS)
    assert sizes(found) == [25] * 5
    assert list(payloads(found).values()) == asked


def test_recurring_requests_are_not_variants() -> None:
    random = Random(3)
    story = words(random, 30)
    people = [f"{words(random, 2)} the {words(random, 1)} gardener" for _ in range(25)]
    asked = [f"{words(random, 14)}?" for _ in range(40)]
    found = detect_templates(prompts([f"I am {who}. {story}: {what}" for who in people for what in asked]), SETTINGS)
    assert sizes(found) == [1000]


def test_an_opening_of_most_payloads_belongs_to_the_payloads() -> None:
    random = Random(4)
    story = words(random, 30)
    asked = [f"{'How to' if row % 13 else 'Why do'} {words(random, 8)}?" for row in range(130)]
    assert list(payloads(detect_templates(prompts([f"{story}: {what}" for what in asked]), SETTINGS)).values()) == asked


def test_a_word_is_not_cut_in_two() -> None:
    random = Random(5)
    story = words(random, 30)
    asked = [f"pre{words(random, 6)}" for _ in range(40)]
    assert list(payloads(detect_templates(prompts([f"{story} {what}" for what in asked]), SETTINGS)).values()) == asked


def test_small_parts_of_code_are_fixed_and_words_are_not() -> None:
    random = Random(6)
    closing = "print(a + b)\nSay in verse what this little program prints, and nothing else."
    asked = [(f"{words(random, 4)} please {words(random, 3)}", words(random, 5)) for _ in range(40)]
    found = detect_templates(prompts([f"a = '{one}'\nb = '{two}'\n{closing}" for one, two in asked]), SETTINGS)
    assert list(payloads(found).values()) == [f"{one} {two}" for one, two in asked]
    assert found.wrappers["segments"][0].to_list() == ["a = '", "' b = '", f"' {normalise(closing)}"]


def test_wrappers_ignore_spelling_and_payloads_keep_it() -> None:
    random = Random(7)
    story = words(random, 30)
    spelled = [story, story.upper(), story.replace(" ", "\r\n"), story.title()]
    asked = [words(random, 6).title() + " Café  É?" for _ in range(24)]
    texts = [f"{spelled[row % 4]} -- {what}" for row, what in enumerate(asked)]
    texts[3] = texts[3].replace("é", "e\u0301")
    found = detect_templates(prompts(texts), SETTINGS)
    assert found.wrappers["segments"].to_list() == [[f"{normalise(story)} -- "]]
    assert list(payloads(found).values()) == asked


def test_copies_of_a_text_count_once() -> None:
    random = Random(8)
    story = words(random, 30)
    texts = [f"{story}: {words(random, 8)}" for _ in range(5)]
    assert detect_templates(prompts(texts * 10), FEW).templates.is_empty()
    more = [*texts, f"{story}: {words(random, 8)}"]
    assert sizes(detect_templates(prompts(more * 10), FEW)) == [60]


def test_one_text_with_small_changes_is_not_a_template() -> None:
    random = Random(9)
    story = words(random, 40)
    assert detect_templates(prompts([f"{story} {number}" for number in range(40)]), SETTINGS).templates.is_empty()


def test_a_prompt_of_its_wrapper_only_has_no_payload() -> None:
    random = Random(10)
    story = words(random, 30)
    rows = prompts([*(f"{story}: {words(random, 8)}" for _ in range(20)), f"{story}: ", f'{story}: "?"'])
    found = detect_templates(rows, SETTINGS)
    assert found.templates["payload"].to_list()[20:] == [None, None]
    assert found.templates["template_id"].n_unique() == 1


def test_settings_are_applied() -> None:
    random = Random(11)
    story = words(random, 30)
    rows = prompts([f"{story}: {words(random, 8)}" for _ in range(19)])
    assert detect_templates(rows, SETTINGS).templates.is_empty()
    assert detect_templates(rows, recipe.Templates(min_rows=19, min_characters=60)).templates.height == 19
    assert detect_templates(rows, recipe.Templates(min_rows=19, min_characters=len(story) + 20)).templates.is_empty()
    known = detect_templates(rows, FEW).wrappers
    assert detect_templates(rows, recipe.Templates(detect=False), known).templates.height == 19
    assert detect_templates(rows, recipe.Templates(detect=False)).templates.is_empty()


def test_empty_input_gives_empty_tables() -> None:
    found = detect_templates(prompts([]).cast(pl.String), SETTINGS)
    assert found.wrappers.schema == tables.empty("wrappers").schema
    assert found.templates.schema == tables.empty("templates").drop("request_id").schema


def test_scripts_without_spaces_are_supported() -> None:
    random = Random(12)
    signs = [chr(code) for code in range(0x4E00, 0x5200)]
    story = "".join(random.choices(signs, k=80))
    asked = ["".join(random.choices(signs, k=20)) + "？" for _ in range(30)]
    found = detect_templates(prompts([f"{story}：“{what}”" for what in asked]), SETTINGS)
    assert list(payloads(found).values()) == asked


# Its parts


@given(st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40), max_size=8))
@examples(80)
def test_folding_collapses_white_space_and_maps_positions(texts: list[str]) -> None:
    folded = winnowing.fold(texts)
    assert len(folded.views) == len(texts)
    for text, view, positions in zip(texts, folded.views, folded.positions, strict=True):
        assert view == " ".join(view.split())
        assert len(view.split()) == len(text.split())
        assert len(positions) == len(view)
        for character, position in zip(view, positions, strict=True):
            # The pinned table, not this Python's: a newer Unicode knows more cases.
            assert character in (folding.tables()["casefold"].get(text[position]), text[position]) or (
                character == " " and text[position].isspace()
            )


@given(seeds)
@examples(25)
def test_texts_that_share_a_long_passage_share_a_window(seed: int) -> None:
    random = Random(seed)
    alphabet = random.choice(["ab", "abcdefgh", "a"])
    passage = "".join(random.choices(alphabet, k=winnowing.GUARANTEED_CHARACTERS))
    views = [
        "".join(random.choices("xyz", k=random.randint(0, 60))) + passage + "".join(random.choices("uvw", k=9))
        for _ in range(6)
    ]
    found = winnowing.winnow(views)
    _, counts = pl.Series(found.hashes).value_counts(sort=True).to_dict().values()
    assert counts[0] == len(views)
    assert (found.hashes[1:] >= found.hashes[:-1]).all()


@pytest.mark.parametrize("size", [5, 100])
def test_templates_do_not_depend_on_the_sizes_of_the_buffers(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    random = Random(15)
    wrappers = [(words(random, 20), words(random, 12)) for _ in range(2)]
    texts = [f"{before} {words(random, 8)} {after}" for before, after in wrappers for _ in range(25)]
    texts += [words(random, 30) for _ in range(20)]
    rows = prompts(texts)
    whole = detect_templates(rows, SETTINGS)
    assert whole.wrappers.height == 2 and whole.templates.height == 50
    monkeypatch.setattr(window_store, "_WINDOWS_PER_CHUNK", size)
    monkeypatch.setattr(window_store, "_BYTES_IN_MEMORY", size)
    monkeypatch.setattr(window_store, "_MAX_COUNTERS", size)
    monkeypatch.setattr(winnowing, "_CHARACTERS_PER_CHUNK", 10 * size)
    monkeypatch.setattr(detect, "_TEXTS_PER_CHUNK", size)
    parts = detect_templates(rows, SETTINGS)
    assert parts.templates.equals(whole.templates) and parts.wrappers.equals(whole.wrappers)


def test_no_window_crosses_from_one_text_into_the_next() -> None:
    random = Random(13)
    halves = words(random, 8)[:20], words(random, 8)[:20]
    assert winnowing.winnow([*halves] * 20).hashes.size == 0
    assert winnowing.hash_windows(list(halves))[0].size == 0
    hashed, rows, starts = winnowing.hash_windows(["a" * 25, "b" * 24, "a" * 24])
    assert rows.tolist() == [0, 0, 1, 2]
    assert starts.tolist() == [0, 1, 0, 0]
    assert hashed[0] == hashed[1] == hashed[3] != hashed[2]


def test_spans_are_in_order() -> None:
    assert find_spans("one two three", ("one", "three")) == [(0, 3), (8, 13)]
    assert find_spans("one two three", ("three", "one")) is None
    assert find_spans("one", ("one", "one")) is None
    assert extract_gaps("one two three", ("two",)) == ["one ", " three"]


def test_shared_segments_occur_in_nine_tenths() -> None:
    random = Random(14)
    story, other = words(random, 20), words(random, 20)
    views = [f"{story} {words(random, 9)}" for _ in range(46)] + [f"{other} {words(random, 9)}" for _ in range(4)]
    assert find_shared_segments(views) == (f"{story} ",)
    assert find_shared_segments(views[:30] + views[46:]) == ()
    assert find_shared_segments(["short", "texts"]) == ()


@pytest.mark.parametrize(
    ("piece", "sides", "left"),
    [
        (': "how to fold a crane?" ', "lr", "how to fold a crane?"),
        ('"how to fold a crane?', "lr", "how to fold a crane?"),
        ('how to say "crane"', "lr", 'how to say "crane"'),
        ("fold f(x)", "lr", "fold f(x)"),
        ("(fold a crane", "l", "fold a crane"),
        ("fold a crane]", "r", "fold a crane"),
        ("fold a crane]", "l", "fold a crane"),
        ("[fold] a crane]", "", "[fold] a crane]"),
        ("fold [a crane]", "l", "fold [a crane]"),
        ("- don't fold the dogs' ears", "l", "don't fold the dogs' ears"),
        ("“fold a crane”", "l", "fold a crane"),
        ("YWJjZA==", "lr", "YWJjZA=="),
        (": fold a crane", "", ": fold a crane"),
        (' ":"', "lr", ""),
    ],
)
def test_dangling_marks_are_trimmed(piece: str, sides: str, left: str) -> None:
    assert trim_piece(piece, left="l" in sides, right="r" in sides) == left


def test_copies_of_a_piece_are_kept_once_in_order() -> None:
    wrapper = ("story:", "again:", "and then:")
    text = "Story: Fold a crane. Again: fold  a boat. And then: fold a Crane."
    assert extract_payloads([text], [wrapper]) == ["Fold a crane. fold  a boat."]


# The real sets


@pytest.mark.real
def test_templates_of_the_real_sets(real: Path) -> None:
    """The figures of docs/templates.md, loosely; they are printed with -s."""
    lines = [
        (path.stem, json.loads(line)) for path in sorted(real.glob("*.jsonl")) for line in path.open(encoding="utf-8")
    ]
    rows = pl.DataFrame(
        {
            "prompt_id": [row["id"] for _, row in lines],
            "text": [row["prompt"] for _, row in lines],
            "source": [source for source, _ in lines],
            "style": [row["attack_style"] for _, row in lines],
        }
    )
    found = detect_templates(rows, SETTINGS)
    base = rows.filter(pl.col("source") == "seval_base_en")["text"].to_list()
    wrapped = rows.join(found.templates, on="prompt_id").with_columns(matched=False)
    known = {normalise(text) for text in base}
    texts = [*base, *wrapped["payload"].fill_null("").to_list()]
    # A block of base prompts and one of payloads: only what joins the two is compared.
    blocks = pl.Series([0] * len(base) + [1] * wrapped.height).to_numpy()
    matched = {int(right) - len(base) for right in near_duplicates.find_pairs(texts, 0.8, blocks=blocks).right}
    wrapped = wrapped.with_columns(
        equal=pl.Series([normalise(payload or "") in known for payload in wrapped["payload"]]),
        near=pl.Series([row in matched for row in range(wrapped.height)]),
    )
    by_style = (
        rows.group_by("source", "style")
        .agg(rows=pl.len())
        .join(
            wrapped.group_by("source", "style").agg(
                wrapped=pl.len(),
                templates=pl.col("template_id").n_unique(),
                largest=pl.col("template_id").unique_counts().max(),
                equal=pl.col("equal").mean().round(3),
                near=pl.col("near").mean().round(3),
                characters=pl.col("payload").str.len_chars().median(),
            ),
            on=["source", "style"],
            how="inner",
            nulls_equal=True,
        )
        .sort("source", "wrapped", descending=[False, True])
    )
    with pl.Config(tbl_cols=-1, tbl_rows=-1, tbl_width_chars=160):
        print(by_style)
    style = {row["style"]: row for row in by_style.iter_rows(named=True)}
    assert set(by_style["source"]) == {"seval_attack_en"}, "plain questions and instructions have no template"
    for name, most in {
        "deepinception": 1,
        "compositional_instructions": 2,
        "code_injection": 8,
        "instruction_jailbreak": 40,
    }.items():
        assert style[name]["wrapped"] >= 990
        assert style[name]["templates"] <= most
    for name in ("deepinception", "instruction_jailbreak"):
        assert style[name]["equal"] >= 0.99
    for name in ("positive_induction", "goal_hijacking", "instruction_encryption", "reverse_induction"):
        assert style.get(name, {"wrapped": 0})["wrapped"] <= 400
