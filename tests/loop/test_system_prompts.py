"""System prompts of the loop's models: in every request and every row that is trained on; ``settings`` records them."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from seas_data.conversation import MESSAGES
from seas_data.loop.generation import generate_attacks, generate_responses, select_asked
from seas_data.loop.training_rows import add_system_prompts
from seas_data.models import open_model
from seas_data.models.protocol import Generator, Sampling
from seas_data.recipe import LoopModel, LoopTarget, ModelHttp
from tests.models.servers import completion, server

SYSTEM = "You work in a kitchen and give no recipes."
RED = "You write questions about kitchens."
PROMPTS = pl.DataFrame({"prompt_id": ["p0", "p1"], "text": ["What boils?", "What bakes?"]})
SEEDS = pl.DataFrame({"seed_id": ["s0"], "text": ["Another one, please."], "split": ["train"]})


@pytest.fixture
def ask(tmp_path: Path) -> Callable[..., Any]:
    """Return a function that calls another with a context whose models a stub server runs: (result, bodies)."""

    def run(what: Callable[..., Any], *given: Any, target: dict[str, Any], red: dict[str, Any]) -> Any:
        with server(lambda body, _: completion(body)) as (url, seen):

            @contextmanager
            def open_player(name: str) -> Iterator[Generator]:
                settings = ModelHttp(backend="http", model="served", url=url)
                with open_model(name, settings, tmp_path) as generator:
                    yield generator

            context: Any = SimpleNamespace(
                loop=SimpleNamespace(
                    target=LoopTarget.model_validate({"model": "target"} | target),
                    red_team=LoopModel.model_validate({"model": "red"} | red),
                ),
                sampling=lambda _: Sampling(max_new_tokens=9),
                open_model=open_player,
                cache_folder=lambda label: tmp_path / label,
            )
            return what(context, *given), seen.bodies

    return run


def test_a_target_is_asked_with_its_system_prompt_and_settings_record_it(ask: Callable[..., Any]) -> None:
    made = {}
    for name, target in {"plain": {}, "system": {"system": SYSTEM}}.items():
        given = ("T0", [(PROMPTS, 1)], name)
        made[name], bodies = ask(generate_responses, *given, target=target, red={})
        sent = sorted([(each["role"], each["content"]) for each in body["messages"]] for body in bodies)
        head = [("system", SYSTEM)] if target else []
        assert sent == [[*head, ("user", "What bakes?")], [*head, ("user", "What boils?")]]
        recorded = json.loads(made[name]["settings"]["sampling"][0])
        assert recorded.get("system") == target.get("system") and ("system" in recorded) is bool(target)
    ids = [set(each["responses"]["settings_id"]) for each in made.values()]
    assert ids[0].isdisjoint(ids[1]) and all(len(each) == 1 for each in ids)
    assert set(made["plain"]["responses"]["response_id"]).isdisjoint(made["system"]["responses"]["response_id"])


def test_a_conversation_is_sent_with_all_turns_and_its_own_system_turn_wins(ask: Callable[..., Any]) -> None:
    turns = [("user", "What boils?"), ("assistant", "Water."), ("user", "And then?")]
    own = [("system", "Be brief."), *turns]
    conversations = [[{"role": role, "content": content} for role, content in each] for each in (own, turns)]
    prompts = pl.DataFrame(
        {
            "prompt_id": ["c0", "c1", "p0"],
            "text": ["flat 0", "flat 1", "What bakes?"],
            "messages": [*conversations, None],
        },
        schema_overrides={"messages": MESSAGES},
    )
    both = select_asked(PROMPTS.tail(1), prompts)
    with_goal = select_asked(prompts.with_columns(goal=pl.lit("baking")), PROMPTS)
    assert with_goal["goal"].to_list() == ["baking"] * 3 + [None] * 2 and with_goal["messages"].null_count() == 3
    made, bodies = ask(generate_responses, "T0", [(both, 1)], "turns", target={"system": SYSTEM}, red={})
    sent = sorted([(each["role"], each["content"]) for each in body["messages"]] for body in bodies)
    head = ("system", SYSTEM)
    assert sent == sorted([own, [head, *turns], [head, ("user", "What bakes?")], [head, ("user", "What bakes?")]])
    assert made["responses"]["prompt_id"].to_list() == ["c0", "c1", "p0", "p1"]


def test_a_red_team_is_asked_with_its_own_system_prompt(ask: Callable[..., Any]) -> None:
    given = ("R0", SEEDS, 1, 1, "attacks")
    made, (body,) = ask(generate_attacks, *given, target={"system": SYSTEM}, red={"system": RED})
    assert [each["content"] for each in body["messages"]] == [RED, "Another one, please."]
    assert json.loads(made["settings"]["sampling"][0])["system"] == RED


def test_training_rows_have_the_system_prompt_of_the_model_that_they_train() -> None:
    own = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What fries?"}]
    asked = [{"role": "user", "content": "What boils?"}]
    rows = pl.DataFrame({"role": ["red", "target", "harmless", "general"], "prompt": [asked, asked, own, asked]})
    loop: Any = SimpleNamespace(target=LoopTarget(model="target", system=SYSTEM), red_team=LoopModel(model="red"))
    prompts = add_system_prompts(rows, loop)["prompt"].to_list()
    head = {"role": "system", "content": SYSTEM}
    assert prompts == [asked, [head, *asked], own, [head, *asked]]
    loop.red_team = LoopModel(model="red", system=RED)
    assert add_system_prompts(rows, loop)["prompt"].to_list()[0] == [{"role": "system", "content": RED}, *asked]
    loop.red_team, loop.target = LoopModel(model="red"), LoopTarget(model="target")
    assert add_system_prompts(rows, loop).equals(rows)


def test_a_system_prompt_without_text_is_refused() -> None:
    with pytest.raises(ValidationError, match="system should have text; remove it for no system prompt"):
        LoopTarget(model="target", system=" \n")
