"""A recipe that would fail after hours is rejected before anything is read, and in a dry run."""

import os
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from seas_data import plan
from seas_data import recipe as recipes
from seas_data.cli import app
from seas_data.errors import SeasDataError
from seas_data.loop import standalone
from seas_data.models import bundled
from seas_data.recipe import Recipe
from seas_data.run import build
from seas_data.utility import run as utility
from tests.conftest import CHECKOUT

SMOKE = CHECKOUT / "pipelines" / "sandbox-smoke.yaml"
SERVED = "models.guard={backend: http, model: a/b, url: 'http://127.0.0.1:1/v1'}"
KEEPER = "{by: rules, name: keeper, unsafe: {words: [velorin]}, refusal: {words: [sorry]}}"
HARM = "{by: rules, name: harm, unsafe: {words: [velorin]}}"
REFUSALS = "{by: rules, name: refusals, refusal: {words: [sorry]}}"
CLASSER = "{by: refusal, model: red}"
ASKS = "{by: rules, name: asks, unsafe: {words: [key]}, only_prompts: true}"
OTHER = "{by: rules, name: other, unsafe: {words: [door]}, only_prompts: true}"


def smoke(*changes: str) -> Recipe:
    return recipes.load(SMOKE, list(changes))


def refused(*changes: str) -> str:
    with pytest.raises(SeasDataError) as caught:
        plan.check(smoke(*changes))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", sorted(path.name for path in (CHECKOUT / "pipelines").glob("*.yaml")))
def test_shipped_recipes_pass(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEAS_DATA_REAL", "/somewhere")
    monkeypatch.setenv("SEAS_MATERIAL", "/somewhere")
    monkeypatch.setattr(bundled, "is_available", lambda name: True)
    monkeypatch.setattr(utility, "has_harness", lambda: True)
    plan.check(recipes.load(CHECKOUT / "pipelines" / name))


def test_a_bundled_model_that_is_not_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundled, "is_available", lambda name: False)
    said = refused("models.red.model=smollm2-135m-instruct")
    assert said.startswith("the bundled model smollm2-135m-instruct is not there: ")
    assert "make smollm2" in said


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            ["loop.validity.judge=nobody"],
            "loop.validity.judge is nobody; set it to one of the judges that give verdicts on prompts: keeper",
        ),
        (
            ["loop.validity.types=keeper"],
            "loop.validity.types is keeper; set it to nearest, or to one of the judges that give verdicts on prompts "
            "and have categories: (none)",
        ),
        (
            [f"judges=[{KEEPER}, {ASKS.replace('asks', 'nearest')}]", "loop.validity.types=nearest"],
            "loop.validity.types: nearest is the nearest prompt, not the judge nearest; rename the judge",
        ),
        (
            ["loop.validity.refusal.patterns=['(']"],
            "loop.validity: '(' is not a regular expression in Rust's syntax",
        ),
        (
            ["loop.red_team.model=blue"],
            "loop.red_team uses the model blue, which is not in models; choose one of: red, ",
        ),
        (["judges=[]"], "a loop needs verdicts"),
        ([f"judges=[{HARM}, {HARM}]"], "two judges have the name harm"),
        (["judges=[{by: guard, guard: wildguard, model: gone}]"], "uses the model gone, which is not in models"),
        (
            [SERVED, f"judges=[{KEEPER}, {{by: guard, guard: shieldgemma, model: guard}}]"],
            "compares the logits of two tokens",
        ),
        ([SERVED, f"judges=[{KEEPER}, {{by: guard, guard: wildguard, model: guard}}]"], "endpoint: completions"),
        ([f"judges=[{KEEPER}, {HARM}]"], "the judges keeper and harm give verdicts; set pairs.judge to"),
        ([f"judges=[{KEEPER}, {CLASSER}]"], "the judges keeper and xstest classify refusals; set pairs.refusal_judge"),
        ([f"judges=[{REFUSALS}]"], "no judge gives verdicts on responses (refusals only"),
        (
            [f"judges=[{KEEPER}, {ASKS}]", "pairs.judge=asks"],
            "pairs.judge is asks, which judges only prompts; name a judge of responses",
        ),
        ([f"judges=[{REFUSALS}, {ASKS}]"], "no judge gives verdicts on responses (refusals only classify refusals)"),
        ([f"judges=[{ASKS}]"], "no judge judges responses, because all have only_prompts (asks); add another judge"),
        (
            [f"judges=[{KEEPER}, {ASKS}, {{by: panel, members: [keeper, asks]}}]", "pairs.judge=keeper"],
            "the panel panel has the member asks, which judges only prompts, beside judges of responses; move it",
        ),
        (
            [f"judges=[{KEEPER}, {{by: guard, guard: strongreject, model: red, only_prompts: true}}]"],
            "the judge strongreject judges only responses; remove its key only_prompts",
        ),
        (
            [f"judges=[{KEEPER}, {{by: chat, model: red, only_prompts: true, prompt: '{{{{ goal }}}}'}}]"],
            "the prompt of the judge chat does not show the question; add {{ question }}",
        ),
        (
            [f"judges=[{HARM}, {CLASSER}]", "pairs.judge=xstest"],
            "pairs.judge is xstest; set it to one of the judges that give verdicts: harm",
        ),
        (
            [f"judges=[{HARM}, {CLASSER}]", "pairs.refusal_judge=harm"],
            "set it to one of the judges that classify refusals: xstest",
        ),
        (
            [f"judges=[{HARM}, {CLASSER}]", "loop.harmless.judge=xstest"],
            "loop.harmless.judge is xstest; set it to one of the judges",
        ),
        ([f"judges=[{HARM}]"], "or set pairs.harmless: null"),
        (
            [f"judges=[{HARM}]", "pairs.harmless=null", "loop.harmless.judge=harm"],
            "looks for refused prompts",
        ),
        ([f"judges=[{HARM}]", "pairs.mode=mart"], "pairs.mode mart uses full answers to harmless prompts"),
        (
            ["pairs.mode=mart", "pairs.mart={reward_model: gone, min_reward: 0}"],
            "pairs.mart.reward_model is gone, which is not in models; choose one of: red",
        ),
        (
            [SERVED, "pairs.mode=mart", "pairs.mart={reward_model: guard, min_reward: 0}"],
            "set models.guard backend: transform",
        ),
        (["loop.instructions=null"], "loop.instructions is not set; set it, or set start: given"),
        (["loop.preferences=null"], "set it, or set pairs.general: null"),
        (
            ["models.red={backend: http, model: a/b, url: 'http://127.0.0.1:1/v1'}"],
            "loop.red_team is trained, and the server at http://127.0.0.1:1/v1 would keep its old model",
        ),
        (
            [
                "models.target={backend: http, model: a/b, url: 'http://127.0.0.1:1/v1'}",
                "loop.target={model: target, start: given}",
            ],
            "in models.target, replace url with serve, the command",
        ),
    ],
)
def test_a_recipe_that_would_fail_later_is_rejected(changes: list[str], says: str) -> None:
    assert says in refused(*changes)


@pytest.mark.parametrize(
    "changes",
    [
        [f"judges=[{KEEPER}, {HARM}]", "pairs.judge=keeper"],
        [f"judges=[{KEEPER}, {CLASSER}]", "pairs.refusal_judge=xstest"],
        [f"judges=[{HARM}, {CLASSER}]", "loop.harmless.judge=harm"],
        ["judges=[{by: guard, guard: wildguard, model: red}]"],
        ["judges=[{by: guard, guard: qwen3guard, model: red, options: {controversial: safe}}]"],
        [f"judges=[{HARM}]", "pairs.harmless=null"],
        [f"judges=[{HARM}]", "pairs.mode=reference"],
        [f"judges=[{HARM}]", "pairs.mode=mart", "pairs.mart={reward_model: red, min_reward: 0}"],
        ["loop.preferences=null", "pairs.general=null"],
        [f"judges=[{HARM}]", "pairs.mode=mart", "pairs.harmless=null"],
        ["loop.instructions=null", "loop.target={model: target, start: given}"],
        [f"judges=[{KEEPER}, {ASKS}]", "loop.validity.judge=asks", "loop.harmless.judge=asks"],
        [f"judges=[{KEEPER}, {ASKS}, {OTHER}, {{by: panel, members: [asks, other]}}]", "loop.validity.judge=panel"],
    ],
)
def test_a_recipe_that_can_be_built_passes(changes: list[str]) -> None:
    plan.check(smoke(*changes))


def test_an_embedder_from_the_hub_needs_a_commit() -> None:
    """Without it, the same recipe would give other vectors after a change on the Hub, with or without a loop."""
    mine = ["{model: ./here}", "{model: all-MiniLM-L6-v2}", "{model: org/one, revision: 0123abc}"]
    plan.check(smoke(f"embedders=[{', '.join(mine)}]"))
    for other in ("{model: org/one}", "{model: org/one, revision: main}", "{model: all-MiniLM-L6-v2, revision: main}"):
        for loop in ((), ("loop=null",)):
            with pytest.raises(SeasDataError, match="comes from the Hub without a commit; set its revision"):
                plan.check(smoke(f"embedders=[{other}]", *loop))


def test_a_bad_recipe_is_rejected_before_anything_is_written_and_in_a_dry_run(tmp_path: Path) -> None:
    broken = f"judges=[{KEEPER}, {HARM}]"
    with pytest.raises(SeasDataError, match=r"pairs\.judge"):
        build(smoke(broken), tmp_path / "ws")
    with pytest.raises(SeasDataError, match=r"pairs\.judge"):
        standalone.open_context(smoke(broken), tmp_path / "round")
    assert list(tmp_path.iterdir()) == []
    for form in ([], ["--json"]):
        ended = CliRunner().invoke(app, ["build", str(SMOKE), "--set", broken, "--dry-run", *form])
        assert "pairs.judge" in f"{ended.exception} {ended.output}" and ended.exit_code != 0


def planned(*changes: str) -> str:
    arguments = [part for change in changes for part in ("--set", change)]
    ended = CliRunner().invoke(app, ["build", str(SMOKE), "--dry-run", *arguments])
    assert ended.exit_code == 0, ended.output
    return ended.output


def test_a_dry_run_shows_models_judges_pairs_and_trainings(tmp_path: Path) -> None:
    """A mistake is visible before it costs a day."""
    said = planned()
    assert "loop: 1 iterations, each of 24 seeds x 4 attacks x 3 responses: 96 attacks and 288 responses" in said
    for line in (
        r"red +red team \(sft\) +\$SANDBOX/red-team +Apache-2.0 +in this process, on cpu",
        r"keeper +rules",
        r"red +min_margin 0.3, min_verdicts 3, prefer_valid True, max_pairs_per_seed 2",
        r"general +ratio 1",
        r"target_sft +sft +0.003 +16 +2 +192 +warmup_steps 20, lr_scheduler cosine",
        r"target +dpo +0.0001 +16 +1 +192 +0.1 +sigmoid, sft +",
    ):
        assert re.search(line, said), line
    assert "beta" not in planned("loop.update=sft") and re.search(r"general +off", planned("pairs.general=null"))
    assert not list(tmp_path.iterdir())


def test_a_dry_run_says_what_each_judge_judges() -> None:
    said = planned(f"judges=[{KEEPER}, {ASKS}, {CLASSER}]", "pairs.refusal_judge=keeper")
    for line in ("keeper +rules +responses, prompts", "asks +rules +prompts", "xstest +refusal +responses +red"):
        assert re.search(line, said), line


def test_a_dry_run_shows_serve_commands_without_control_characters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "vllm").touch(mode=0o700)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    serve = '{backend: http, model: a/b, revision: 0123abc, serve: [vllm, "\\e[2Jx", "{model}", --port, "{port}"]}'
    said = planned(f"models.red={serve}")
    assert re.search(r"a/b +0123abc +not stated +vllm '.+x' \{model\} --port \{port\}", said)
    assert "\x1b" not in said
