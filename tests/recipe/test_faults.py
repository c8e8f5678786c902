"""What is wrong with a recipe is named by the keys that it has, with what is allowed just there."""

from pathlib import Path

import pytest

from tests.recipe.test_loading import fails

SERVED = "models.red={backend: http, model: a/b, url: 'http://127.0.0.1:1/v1'}"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            "models.red.batch_row=1",
            "models.red.batch_row is not a key (did you mean batch_rows?); allowed there: backend",
        ),
        ("models.red.device=tpu", "models.red.device: Input should be 'auto', 'cpu' or 'cuda' (given: 'tpu')"),
        ("judges=[{by: guard, guard: wildguard, modle: red}]", "judges.0.modle is not a key (did you mean model?)"),
        ("judges=[{by: guard, guard: wildguard}]", "judges.0.model is missing"),
        (
            "training.red.lora.ranks=3",
            "training.red.lora.ranks is not a key (did you mean rank?); allowed there: alpha",
        ),
        ("pairs.red.margins=1", "pairs.red.margins is not a key (did you mean margin?)"),
        ("training.red.lora.targets=[[a]]", "training.red.lora.targets"),
        ("training.red.lora.targets={a: b}", "training.red.lora.targets"),
        ("1=2", "1 is not a key; allowed there: curation"),
    ],
)
def test_a_fault_is_named_by_the_keys_above_it(tmp_path: Path, change: str, says: str) -> None:
    assert says in fails(tmp_path, "models.red={model: a/b}", change)


def test_the_keys_allowed_are_those_of_the_backend(tmp_path: Path) -> None:
    message = fails(tmp_path, SERVED, "models.red.concurency=1")
    assert (
        "models.red.concurency is not a key (did you mean concurrency?); allowed there: api_key_env, backend, chat_template"
        in message
    )
    assert "batch_tokens" not in message


@pytest.mark.parametrize("name", ["path", "hub", "columns"])
def test_a_source_may_be_called_as_a_key_is(tmp_path: Path, name: str) -> None:
    message = fails(tmp_path, f"sources.{name}={{path: a.csv, kind: general, licens: MIT}}")
    assert f"sources.{name}.licens is not a key (did you mean licence?)" in message
