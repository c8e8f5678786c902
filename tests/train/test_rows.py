"""What is checked before a training, because the trainer would pass over it in silence."""

from pathlib import Path

import polars as pl
import pytest
from transformers import AutoTokenizer

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


def test_the_trainer_would_drop_just_those(base: Path, pairs: pl.DataFrame) -> None:
    from seas_data.train.dpo import make_trainer
    from seas_data.train.job import Job, prepare, prepared_rows

    settings = preference(max_length=12)
    job = Job(method="dpo", model=str(base), settings=settings, output=base.parent / "dropped")
    prepare(job, pairs)
    from datasets import Dataset

    kept = Dataset.from_file(str(prepared_rows(job)))
    assert kept.num_rows == 24
    assert make_trainer(job, kept, checks.load_tokenizer(str(base), settings), []).train_dataset.num_rows == 24


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
