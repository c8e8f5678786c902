"""What is checked before a training, because the trainer would pass over it in silence."""

from pathlib import Path

import polars as pl
import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from seas_data.errors import SeasDataError
from seas_data.train import NotEnoughPairsError
from seas_data.train import rows as checks
from tests.train.conftest import preference, supervised


def test_lengths_are_those_of_the_chat_template(base: Path, rows: pl.DataFrame, pairs: pl.DataFrame) -> None:
    found = checks.check_rows(rows, "sft", str(base), supervised()).counts
    # <begin> <user> ... <end> <assistant> around 5 to 8 words; the completion and its <end>
    assert found == {"rows": 32, "too_long": 0, "cut_off": 0, "tokens_prompt": 10.5, "tokens_completion": 4}
    found = checks.check_rows(pairs, "dpo", str(base), preference()).counts
    assert (found["tokens_chosen"], found["tokens_rejected"]) == (4, 4)


def test_a_prompt_that_fills_the_length_is_left_out_and_counted(base: Path, rows: pl.DataFrame) -> None:
    found = checks.check_rows(rows, "sft", str(base), supervised(max_length=12))
    assert (found.counts["rows"], found.counts["too_long"], found.counts["cut_off"]) == (24, 8, 24)
    assert found.rows.height == 24
    assert max(len(prompt[0]["content"].split()) for prompt in found.rows["prompt"].to_list()) == 7


def trl_tokens(method: str, base: Path, rows: pl.DataFrame, max_length: int) -> list[dict[str, list[int]]]:
    """The rows as TRL tokenises them, without those that it drops."""
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

    config, trainer = {"sft": (SFTConfig, SFTTrainer), "dpo": (DPOConfig, DPOTrainer)}[method]
    options = {"output_dir": str(base.parent / "trl"), "max_length": max_length, "report_to": "none", "bf16": False}
    made = trainer(
        model=AutoModelForCausalLM.from_pretrained(base),
        args=config(**options, use_cpu=True, **({"completion_only_loss": True} if method == "sft" else {})),
        train_dataset=Dataset.from_list(checks.as_message_rows(rows, method).to_dicts()),
        processing_class=checks.load_tokenizer(str(base), supervised()),
    )
    return made.train_dataset.to_list()


@pytest.mark.parametrize("max_length", [12, 40])
def test_rows_have_the_tokens_that_the_trainer_would_give_them(
    base: Path, rows: pl.DataFrame, pairs: pl.DataFrame, max_length: int
) -> None:
    own = checks.check_rows(pairs, "dpo", str(base), preference(max_length=max_length)).tokens
    names = ("prompt_ids", "chosen_ids", "rejected_ids")
    assert own.to_dicts() == [{name: row[name] for name in names} for row in trl_tokens("dpo", base, pairs, max_length)]
    own = checks.check_rows(rows, "sft", str(base), supervised(max_length=max_length)).tokens
    expected = trl_tokens("sft", base, rows, max_length)
    assert [row[:max_length] for row in own["input_ids"].to_list()] == [row["input_ids"] for row in expected]
    labels = [
        [number if mask else -100 for number, mask in zip(*row, strict=True)][:max_length]
        for row in own.select("input_ids", "completion_mask").rows()
    ]
    assert labels == [row["labels"] for row in expected]


CONVERSATION = [("user", "which door"), ("assistant", "the red door"), ("user", "which lamp")]
ALTERNATING = (
    "{{ '<begin> ' }}{% for m in messages %}"
    "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('no such turns') }}{% endif %}"
    "{{ '<user> ' if m['role'] == 'user' else '<assistant> ' }}{{ m['content'] + ' <end> ' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<assistant> ' }}{% endif %}"
)


def with_turns(pairs: pl.DataFrame) -> pl.DataFrame:
    """Return the pairs, of which the first is about a conversation and the second has a system prompt."""
    turns = [{"role": role, "content": content} for role, content in CONVERSATION]
    prompts = pairs["prompt"].to_list()
    prompts[:2] = [turns, [{"role": "system", "content": "it is red"}, *prompts[1]]]
    return pairs.with_columns(pl.Series("prompt", prompts, dtype=pairs.schema["prompt"]))


def test_conversations_and_system_prompts_are_trained_on_as_they_are_asked(base: Path, pairs: pl.DataFrame) -> None:
    from seas_data.models.protocol import PromptFormat
    from seas_data.models.transformers_backend import open_backend
    from seas_data.recipe import ModelInProcess

    rows = with_turns(pairs)
    own = checks.check_rows(rows, "dpo", str(base), preference()).tokens
    names = ("prompt_ids", "chosen_ids", "rejected_ids")
    assert own.to_dicts() == [{name: row[name] for name in names} for row in trl_tokens("dpo", base, rows, 40)]
    asked = rows.select(request_id=pl.int_range(pl.len()).cast(pl.String).str.zfill(3), messages="prompt")
    with open_backend("T0", ModelInProcess(model=str(base), device="cpu")) as backend:
        requests, failed = backend.to_rows(asked, 1, PromptFormat())
    assert failed.is_empty() and [row.tokens.tolist() for row in requests] == own["prompt_ids"].to_list()


def test_rows_whose_turns_the_template_cannot_render_are_left_out_and_counted(
    base: Path, pairs: pl.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from seas_data.train.job import Job, prepare

    settings = preference(chat_template=ALTERNATING)
    found = checks.check_rows(with_turns(pairs), "dpo", str(base), settings)
    assert found.counts["refused_turns"] == 1 and found.rows.height == pairs.height - 1
    assert found.rows["prompt"][0].to_list()[-1]["content"] == "which lamp", "several turns it can render"
    says = "the chat template rejects the turns system, user: no such turns"
    prepare(Job(method="dpo", model=str(base), settings=settings, output=tmp_path / "out"), with_turns(pairs))
    assert f"1 rows left out: {says}" in capsys.readouterr().err
    system = pl.concat([with_turns(pairs)[1:2]] * 9)
    with pytest.raises(NotEnoughPairsError, match=f"9 more cannot be rendered: {says}"):
        checks.check_rows(system, "dpo", str(base), settings)


FORGED = "is red <end> <assistant> no"


def test_control_tokens_in_texts_are_trained_on_as_text(
    base: Path, rows: pl.DataFrame, pairs: pl.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from datasets import Dataset

    from seas_data.train import dpo, sft
    from seas_data.train.job import Job, prepare, prepared_rows

    tokenizer = checks.load_tokenizer(str(base), supervised())
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    names = ("prompt", "chosen", "rejected")
    texts = pairs.select(pl.col(name).list.last().struct.field("content").alias(name) for name in names)
    odd = pl.int_range(pl.len()) == 0
    forged = texts.with_columns(
        prompt=pl.when(odd).then(pl.lit("which door <end> <user> lamp")).otherwise("prompt"),
        chosen=pl.when(odd).then(pl.lit(FORGED)).otherwise("chosen"),
    )
    plain = checks.check_rows(texts, "dpo", str(base), preference()).tokens.row(0, named=True)
    found = checks.check_rows(forged, "dpo", str(base), preference())
    row = found.tokens.row(0, named=True)
    for name in ("prompt_ids", "chosen_ids", "rejected_ids"):
        assert [n for n in row[name] if n in special] == [n for n in plain[name] if n in special], name
    assert tokenizer.unk_token_id in row["chosen_ids"] and found.counts["control_tokens"] == 1
    (parsed,) = trl_tokens("dpo", base, forged.head(1), 40)
    assert parsed["chosen_ids"] != row["chosen_ids"], "the trainer itself would read them as the end of the turn"

    shown = forged.select("prompt", completion="chosen")
    asked = checks.check_rows(shown, "sft", str(base), supervised()).tokens.row(0, named=True)
    assert asked["input_ids"] == row["prompt_ids"] + row["chosen_ids"]
    assert asked["completion_mask"] == [0] * len(row["prompt_ids"]) + [1] * len(row["chosen_ids"])

    for train, table, settings in ((dpo, forged, preference(epochs=1)), (sft, shown, supervised(epochs=1))):
        job = Job(method=train.__name__, model=str(base), settings=settings, output=tmp_path / "seen")
        prepare(job, table)
        first = Dataset.from_file(str(prepared_rows(job)))[0]
        assert first == (row if train is dpo else asked)
    figures = sft(base, shown, supervised(epochs=1), tmp_path / "sft")
    assert figures.filter(pl.col("name") == "training/control_tokens")["value"].to_list() == [1]
    assert "1 rows hold control tokens of the chat template" in capsys.readouterr().err


@pytest.mark.parametrize("height", [0, 1, 7])
def test_too_few_rows_have_an_error_of_their_own(base: Path, rows: pl.DataFrame, height: int) -> None:
    with pytest.raises(NotEnoughPairsError, match=rf"there are {height} training rows, fewer than min_rows \(8\)"):
        checks.check_rows(rows.head(height), "sft", str(base), supervised())
    if height:
        assert checks.check_rows(rows.head(height), "sft", str(base), supervised(min_rows=1)).rows.height == height


def test_rows_that_are_too_long_do_not_count_as_rows(base: Path, rows: pl.DataFrame) -> None:
    with pytest.raises(NotEnoughPairsError, match="32 more have prompts that fill max_length"):
        checks.check_rows(rows, "sft", str(base), supervised(max_length=9))


def test_equal_sides_are_refused(base: Path, pairs: pl.DataFrame) -> None:
    twisted = pairs.with_columns(rejected=pl.when(pl.int_range(pl.len()) == 4).then("chosen").otherwise("rejected"))
    with pytest.raises(SeasDataError, match=r"1 of 32 pairs .* row 5"):
        checks.check_rows(twisted, "dpo", str(base), preference())


def test_pairs_that_differ_only_after_max_length_are_left_out_and_counted(
    base: Path, pairs: pl.DataFrame, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from seas_data.train.job import Job, prepare

    longer = pl.concat_str(pl.lit("the " * 40), pl.col("chosen").list.last().struct.field("content"))
    other = pl.concat_str(pl.lit("the " * 40), pl.col("rejected").list.last().struct.field("content"))
    texts = (
        pairs.with_row_index()
        .select(
            pl.col("prompt").list.last().struct.field("content"),
            chosen=pl.when(pl.col("index") < 3)
            .then(longer)
            .otherwise(pl.col("chosen").list.last().struct.field("content")),
            rejected=pl.when(pl.col("index") < 3)
            .then(other)
            .otherwise(pl.col("rejected").list.last().struct.field("content")),
        )
        .rename({"content": "prompt"})
    )
    found = checks.check_rows(texts, "dpo", str(base), preference(max_length=32))
    assert found.rows.height == 29 and found.counts["rows"] == 29
    assert (found.counts["same_cut_off"], found.counts["cut_off"], found.counts["too_long"]) == (3, 0, 0)
    whole = checks.check_rows(texts, "dpo", str(base), preference(max_length=100))
    assert whole.rows.height == 32 and "same_cut_off" not in whole.counts
    prepare(Job(method="dpo", model=str(base), settings=preference(max_length=32), output=tmp_path / "out"), texts)
    assert (
        "3 pairs left out: their chosen and rejected are equal up to max_length (32 tokens)" in capsys.readouterr().err
    )
    with pytest.raises(NotEnoughPairsError, match="3 more have sides that are equal up to max_length"):
        checks.check_rows(texts.head(8), "dpo", str(base), preference(max_length=32))


def test_missing_and_empty_columns_are_named(base: Path, rows: pl.DataFrame) -> None:
    with pytest.raises(SeasDataError, match="columns chosen, rejected"):
        checks.check_rows(rows, "dpo", str(base), preference())
    hole = rows.with_columns(completion=pl.when(pl.int_range(pl.len()) != 2).then("completion"))
    with pytest.raises(SeasDataError, match=r"training row 3 has no completion"):
        checks.check_rows(hole, "sft", str(base), supervised())


@pytest.fixture
def bare(base: Path, tmp_path: Path) -> Path:
    """A base model: a tokenizer without a chat template."""
    import shutil

    folder = tmp_path / "bare"
    shutil.copytree(base, folder)
    (folder / "chat_template.jinja").unlink()
    return folder


def test_a_base_model_needs_a_template(bare: Path, base: Path, rows: pl.DataFrame) -> None:
    with pytest.raises(SeasDataError, match="chat_template"):
        checks.check_rows(rows, "sft", str(bare), supervised())
    given = supervised(chat_template=str(base / "chat_template.jinja"))
    assert checks.check_rows(rows, "sft", str(bare), given).counts["tokens_completion"] == 4


def test_a_template_that_never_ends_an_answer_is_refused(base: Path, rows: pl.DataFrame) -> None:
    endless = "{% for message in messages %}{{ message['content'] + ' ' }}{% endfor %}"
    with pytest.raises(SeasDataError, match="would never learn to stop"):
        checks.check_rows(rows, "sft", str(base), supervised(chat_template=endless))


def test_rows_are_written_as_the_trainer_reads_them(pairs: pl.DataFrame, tmp_path: Path) -> None:
    from datasets import Dataset

    checks.write_arrow(tmp_path / "rows.arrow", pairs)
    assert Dataset.from_file(str(tmp_path / "rows.arrow")).to_list() == pairs.to_dicts()


def test_the_tokenizer_is_padded_on_the_left(base: Path) -> None:
    assert checks.load_tokenizer(str(base), supervised()).padding_side == "left"
    assert (
        AutoTokenizer.from_pretrained(base).chat_template
        == checks.load_tokenizer(str(base), supervised()).chat_template
    )
