"""What is wrong with a recipe is named by the keys that it has, with what is allowed just there."""

from pathlib import Path

import pytest

from tests.recipe.test_loading import fails

SERVED = "models.red={backend: http, model: a/b, url: 'http://127.0.0.1:1/v1'}"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            "models.red.max_batch_row=1",
            "models.red.max_batch_row is not a key (did you mean max_batch_rows?); allowed keys: backend",
        ),
        ("models.red.device=tpu", "models.red.device: Input should be 'auto', 'cpu' or 'cuda' (given: 'tpu')"),
        ("judges=[{by: guard, guard: wildguard, modle: red}]", "judges.0.modle is not a key (did you mean model?)"),
        ("judges=[{by: guard, guard: wildguard}]", "judges.0.model is missing"),
        (
            "training.red.lora.ranks=3",
            "training.red.lora.ranks is not a key (did you mean rank?); allowed keys: alpha",
        ),
        ("pairs.red.min_margins=1", "pairs.red.min_margins is not a key (did you mean min_margin?)"),
        ("training.red.lora.target_modules=[[a]]", "training.red.lora.target_modules"),
        ("training.red.lora.target_modules={a: b}", "training.red.lora.target_modules"),
        ("1=2", "1 is not a key; allowed keys: curation"),
    ],
)
def test_a_fault_is_named_by_the_keys_above_it(tmp_path: Path, change: str, says: str) -> None:
    assert says in fails(tmp_path, "models.red={model: a/b}", change)


def test_the_keys_allowed_are_those_of_the_backend(tmp_path: Path) -> None:
    message = fails(tmp_path, SERVED, "models.red.concurency=1")
    assert (
        "models.red.concurency is not a key (did you mean concurrency?); allowed keys: api_key_env, backend" in message
    )
    assert "max_batch_tokens" not in message


@pytest.mark.parametrize("name", ["path", "hub", "columns"])
def test_a_source_may_be_called_as_a_key_is(tmp_path: Path, name: str) -> None:
    message = fails(tmp_path, f"sources.{name}={{path: a.csv, kind: general, licens: MIT}}")
    assert f"sources.{name}.licens is not a key (did you mean licence?)" in message
