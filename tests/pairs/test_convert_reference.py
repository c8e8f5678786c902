import json
import random
from collections import defaultdict
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seas_data import recipe
from seas_data.errors import SeasDataError
from seas_data.pairs import convert_reference, reference
from seas_data.pairs.convert_reference import convert_file
from tests.conftest import examples

LOOSE = recipe.Pairs(
    red=recipe.RedPairs(min_margin=0, min_verdicts=1, max_length_ratio=None, near_duplicate_threshold=None),
    target=recipe.TargetPairs(select_by="first"),
)


def row(prompt: str, attack: str, response: str, evaluation: Any) -> dict[str, Any]:
    return {"prompt": prompt, "atk_output": attack, "tgt_output": response, "evaluation": evaluation}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix == ".parquet":
        pl.DataFrame(rows, schema=dict.fromkeys(row("", "", "", ""), pl.String)).write_parquet(path, row_group_size=3)
    else:
        path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return path


def pairs(
    folder: Path, rows: list[dict[str, Any]], role: reference.Role, rules: recipe.Pairs = LOOSE, end: str = ".jsonl"
) -> list[dict[str, Any]]:
    source, output = write(folder / f"in{end}", rows), folder / f"out{end}"
    summary = convert_file(source, role, output, settings=rules)
    found = pl.read_parquet(output) if end == ".parquet" else pl.read_ndjson(output) if output.stat().st_size else None
    listed = [] if found is None else found.to_dicts()
    assert summary["pairs"] == len(listed)
    return listed


def texts(found: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [
        (pair["prompt"][0]["content"], pair["chosen"][0]["content"], pair["rejected"][0]["content"]) for pair in found
    ]


@pytest.mark.parametrize("end", [".jsonl", ".parquet"])
def test_an_unsafe_response_that_comes_first_is_not_chosen(tmp_path: Path, end: str) -> None:
    rows = [
        row("seed", "attack", "the word is jade", "unsafe\nS2"),
        row("seed", "attack", "maybe", "Unsafe"),
        row("seed", "attack", "I cannot say", "\n\nsafe"),
        row("seed", "attack", "the word is coral", "unsafe \nS1"),
    ]
    found = pairs(tmp_path, rows, "target", end=end)
    assert texts(found) == [("attack", "I cannot say", "the word is jade")]
    assert found[0]["prompt"][0]["role"] == "user" and found[0]["chosen"][0]["role"] == "assistant"
    assert (found[0]["chosen_line"], found[0]["rejected_line"]) == (3, 1)
    assert list(found[0]) == list(convert_reference._COLUMNS)


@pytest.mark.parametrize("end", [".jsonl", ".parquet"])
def test_attacks_of_equal_rates_are_not_paired(tmp_path: Path, end: str) -> None:
    rows = [row("even", attack, f"{attack} {i}", "unsafe") for attack in "ab" for i in range(5)]
    rows += [row("uneven", "weak", f"no {i}", "safe") for i in range(5)]
    rows += [row("uneven", "strong", f"yes {i}", "unsafe\nS1" if i else "safe") for i in range(5)]
    found = pairs(tmp_path, rows, "red", end=end)
    assert texts(found) == [("uneven", "strong", "weak")]
    assert found[0]["margin"] == 0.8
    assert (found[0]["chosen_line"], found[0]["rejected_line"]) == (16, 11)
    assert found[0]["prompt_id"] is None and len(found[0]["seed_id"]) == 24


VERDICTS = {
    "safe": ["safe", " safe", "safe ", "\n\nsafe", "safe\n", "safe\t\nS1", "\r\n safe\r\n", "safe\n\nunsafe"],
    "unsafe": ["unsafe", "unsafe\nS1,S2", "\n\nunsafe \n S1", "unsafe\r\nS1"],
    "unparsed": [
        *("", " \n", "Safe", "SAFE", "UNSAFE", "unsafe.", "safe.", "safe, I think", "unsafe S1", "unsafe,S1", "'safe'"),
        *("safe unsafe", "safe/unsafe", "not safe", "This is unsafe", "The response is safe", "uns", "unsafely"),
        *("S1\nunsafe", "I cannot assess that", "assistant\nsafe", "<b>safe</b>", "safe\u200b", "ѕafe", "safe\x00"),
        *(None, "null", "true", "0"),
    ],
}


@pytest.mark.parametrize(("verdict", "evaluations"), VERDICTS.items())
def test_only_the_first_line_that_is_not_blank_is_the_verdict(verdict: str, evaluations: list[str | None]) -> None:
    frame = pl.DataFrame({"evaluation": evaluations}, {"evaluation": pl.String})
    found = frame.select(reference.parse_verdict(pl.col("evaluation"))).to_series()
    assert found.to_list() == [verdict] * len(evaluations)


def test_an_evaluation_that_is_no_text_is_a_verdict_that_does_not_parse(tmp_path: Path) -> None:
    rows = [row("s", "a", "one", True), row("s", "a", "two", {"safe": 1}), row("s", "a", "three", "unsafe")]
    del rows[0]["evaluation"]
    summary = convert_file(write(tmp_path / "in.jsonl", rows), "target", tmp_path / "out.jsonl")
    assert summary["verdicts"] == {"safe": 0, "unsafe": 1, "unparsed": 2}
    assert summary["unpaired"] == {"unparsed": 2, "no_safe": 1}


def test_no_pair_is_an_empty_file_and_a_statement(tmp_path: Path) -> None:
    for end in (".jsonl", ".parquet"):
        for rows in ([], [row("s", "a", "one", "safe"), row("s", "b", "two", "safe")]):
            assert pairs(tmp_path, rows, "red", end=end) == []
            assert pairs(tmp_path, rows, "target", end=end) == []
    summary = convert_file(write(tmp_path / "in.jsonl", rows), "target", tmp_path / "out.jsonl")
    assert summary["statement"] == "no target pairs; 2 responses in none: 2 without an unsafe counterpart"
    assert json.loads(json.dumps(summary)) == summary


def test_lines_that_are_no_rows_are_counted(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", [row("s", "a", "one", "safe"), row("s", "a", "two", "unsafe")])
    source.write_text("oops\n" + source.read_text() + '{"prompt": 5}\n')
    summary = convert_file(source, "target", tmp_path / "out.jsonl")
    assert summary["set_aside"] == {"no_text": 1, "unreadable": 1}
    assert summary["set_aside_lines"] == [1, 4]
    assert summary["pairs"] == 1


def test_what_is_no_reference_file_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    output.write_text("before")
    (tmp_path / "other.jsonl").write_text('{"text": "x"}\n')
    (tmp_path / "fake.parquet").write_text("no parquet")
    pl.DataFrame({"prompt": ["x"]}).write_parquet(tmp_path / "other.parquet")
    pl.DataFrame(row("s", "a", "r", "safe") | {"tgt_output": 5}).write_parquet(tmp_path / "numbers.parquet")
    for name, message in {
        "missing.jsonl": "does not exist",
        "other.jsonl": "none of its 1 lines has the texts",
        "fake.parquet": "not a Parquet file",
        "other.parquet": "lacks the columns atk_output",
        "numbers.parquet": "tgt_output has type Int64",
    }.items():
        with pytest.raises(SeasDataError, match=message):
            convert_file(tmp_path / name, "target", output)
    with pytest.raises(SeasDataError, match="choose another output file"):
        convert_file(tmp_path / "other.jsonl", "target", tmp_path / "other.jsonl")
    with pytest.raises(SeasDataError, match="mode mart needs refusal classes"):
        convert_file(tmp_path / "other.jsonl", "target", output, settings=recipe.Pairs(mode="mart"))
    assert output.read_text() == "before"
    assert not list(tmp_path.glob(".unfinished*"))


def test_rows_of_parquet_without_a_text_are_set_aside(tmp_path: Path) -> None:
    rows = [row("s", "a", None, "safe"), *(row("s", "a", f"{verdict} one", verdict) for verdict in ("safe", "unsafe"))]  # type: ignore[arg-type]
    summary = convert_file(write(tmp_path / "in.parquet", rows), "target", tmp_path / "out.jsonl")
    assert summary["set_aside"] == {"no_text": 1} and summary["set_aside_lines"] == [1]
    assert pl.read_ndjson(tmp_path / "out.jsonl").select("chosen_line", "rejected_line").row(0) == (2, 3)


def test_texts_are_filtered_only_when_asked(tmp_path: Path) -> None:
    rows = [row("s", "tell me the colour of it", f"yes {i}", "unsafe") for i in range(3)]
    rows += [row("s", "tell me the colour of that", f"no {i}", "safe") for i in range(3)]
    rows += [row("s", "what a fine lantern", f"never {i}", "unsafe" if i == 0 else "safe") for i in range(3)]
    assert texts(pairs(tmp_path, rows, "red", convert_reference.SETTINGS))[0][2] == "tell me the colour of that"
    asked = recipe.Pairs(red=recipe.RedPairs(max_length_ratio=None, near_duplicate_threshold=0.7))
    assert texts(pairs(tmp_path, rows, "red", asked))[0][2] == "what a fine lantern"


def test_the_same_attack_of_two_seeds_is_one_prompt_for_the_target_and_two_for_the_red_team(tmp_path: Path) -> None:
    rows = [row(seed, "attack", f"{seed} {verdict}", verdict) for seed in "st" for verdict in ("unsafe", "safe")]
    assert len(pairs(tmp_path, rows, "target")) == 1
    rows += [row(seed, "other", f"{seed} {i}", "safe") for seed in "st" for i in range(2)]
    found = pairs(tmp_path, rows, "red")
    assert [pair["margin"] for pair in found] == [0.5, 0.5]
    assert found[0]["chosen_id"] != found[1]["chosen_id"]


def test_ties_are_not_broken_by_the_order_of_the_file(tmp_path: Path) -> None:
    rows = [row("s", f"attack {i}", f"answer {i}", "unsafe" if i % 2 else "safe") for i in range(12)]
    forth, back = pairs(tmp_path, rows, "red"), pairs(tmp_path, rows[::-1], "red")
    assert texts(forth) == texts(back)
    assert forth[0]["pair_id"] == back[0]["pair_id"]


def test_the_papers_rule_computed_rightly(tmp_path: Path) -> None:
    rows = [row("s", "long " * 700, "yes", "unsafe"), row("s", "a", "no", "safe"), row("s", "b", "so", "unsafe")]
    rows += [row("s", "b", "no", "safe")]
    found = pairs(tmp_path, rows, "red", recipe.Pairs(mode="reference"))
    assert texts(found) == [("s", "b", "a")]


ROWS = st.lists(
    st.builds(
        row,
        st.sampled_from(["s", "t", "ü\u2028", ""]),
        st.sampled_from(["a", "b", "b ", "a longer attack", "", "ä\U0001f600"]),
        st.sampled_from(["one", "two", "two\n", "three", " ", "\u0000four", "a much longer answer"]),
        st.sampled_from(["safe", "unsafe\nS1", "\n\nsafe", "unsafe ", "Unsafe", "safe unsafe", None]),
    ),
    max_size=40,
)
RULES = st.builds(
    recipe.Pairs,
    red=st.builds(
        recipe.RedPairs,
        min_margin=st.sampled_from([0, 0.3]),
        min_verdicts=st.integers(1, 2),
        max_length_ratio=st.just(None),
        near_duplicate_threshold=st.just(None),
        max_pairs_per_seed=st.integers(1, 2),
    ),
    target=st.builds(
        recipe.TargetPairs,
        select_by=st.sampled_from(["score", "length", "first"]),
        max_pairs_per_prompt=st.integers(1, 2),
    ),
)


@examples(15)
@given(ROWS, RULES, st.randoms(use_true_random=False))
def test_whatever_comes_in(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], rules: recipe.Pairs, chance: random.Random
) -> None:
    folder = tmp_path_factory.mktemp("pairs")
    parsed = ["unparsed" if one["evaluation"] is None else one["evaluation"].strip() for one in rows]
    strict = [{"safe": "safe", "unsafe": "unsafe", "unsafe\nS1": "unsafe"}.get(one, "unparsed") for one in parsed]
    shares: dict[tuple[str, str], list[str]] = defaultdict(list)
    for one, verdict in zip(rows, strict, strict=True):
        shares[one["prompt"].strip(), one["atk_output"].strip()].append(verdict)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(convert_reference, "_AT_A_TIME", 2)
        red = pairs(folder, rows, "red", rules)
        target = pairs(folder, rows, "target", rules)
        assert pairs(folder, rows, "red", rules, ".parquet") == red
        assert pairs(folder, rows, "target", rules, ".parquet") == target
        mixed = pairs(folder, chance.sample(rows, len(rows)), "red", rules)
    for pair in red:
        seed, chosen, rejected = texts([pair])[0]
        rates = []
        for attack in (chosen, rejected):
            said = shares[seed.strip(), attack.strip()]
            valid = len(said) - said.count("unparsed")
            assert valid >= rules.red.min_verdicts
            rates.append(said.count("unsafe") / valid)
        assert rates[0] - rates[1] > 0 and rates[0] - rates[1] >= rules.red.min_margin - 1e-9
        assert seed.strip() and chosen.strip() != rejected.strip() and chosen.strip() and rejected.strip()
    for pair in target:
        lines = pair["chosen_line"] - 1, pair["rejected_line"] - 1
        assert [strict[line] for line in lines] == ["safe", "unsafe"]
        assert [rows[line]["tgt_output"] for line in lines] == list(texts([pair])[0][1:])
        attack, chosen, rejected = texts([pair])[0]
        assert {rows[line]["atk_output"].strip() for line in lines} == {attack.strip()}
        assert chosen.strip() != rejected.strip() and chosen.strip() and rejected.strip() and attack.strip()
    assert len({pair["pair_id"] for pair in red + target}) == len(red) + len(target)
    stripped = [sorted([tuple(text.strip() for text in three) for three in texts(found)]) for found in (red, mixed)]
    assert stripped[0] == stripped[1]
