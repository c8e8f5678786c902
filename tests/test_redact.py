"""What a recipe may hold and a release may not."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seas_data import recipe as recipes
from seas_data.recipe import Recipe
from seas_data.redact import redact_recipe
from seas_data.resources import folder
from tests import made


@pytest.mark.parametrize(
    ("given_", "left"),
    [
        ("/home/ann/models/big", "big"),
        ("/home/ann/models/big/", "big"),
        ("~/models/big", "big"),
        ("~ann/big", "big"),
        ("file:///home/ann/big", "big"),
        ("C:\\Users\\Ann\\big", "big"),
        ("\\\\server\\share\\big", "big"),
        ("see /home/ann/big for it", "see big for it"),
        ("--model=/home/ann/big", "--model=big"),
        ("sk-abcdefghijklmnop1234", "withheld"),
        ("hf_abcdefghijklmnop1234", "withheld"),
        ("Bearer abc.def", "withheld"),
        ("https://ann:pw@example.org/data", "https://example.org/data"),
        # Not secrets, and no places on a machine.
        ("org/model-8b", "org/model-8b"),
        ("and/or", "and/or"),
        ("/imagine ", "/imagine "),
        ("https://example.org/a/b", "https://example.org/a/b"),
        (r"\b(a|b)\w+", r"\b(a|b)\w+"),
        ("^i am sorry", "^i am sorry"),
        ("{% for m in messages %}</s>{% endfor %}", "{% for m in messages %}</s>{% endfor %}"),
        ("a task-oriented risk-averse set", "a task-oriented risk-averse set"),
    ],
)
def test_of_a_text_only_secrets_and_places_go(given_: str, left: str) -> None:
    assert redact_recipe({"description": given_}) == {"description": left}


@pytest.mark.parametrize(
    "name", ["api_key", "apiKey", "API-KEY", "hub_token", "password", "Authorization", "extra_headers", "client_secret"]
)
@pytest.mark.parametrize("value", ["abc", {"a": "abc"}, ["abc"], {"deep": [{"er": "abc"}]}])
def test_what_is_called_a_secret_goes_whatever_it_is(name: str, value: Any) -> None:
    for free in ("options", "extra_body", "trl_options"):
        content = {"models": {"m": {free: {"body": {name: value}}}}}
        assert redact_recipe(content)["models"]["m"][free] == {"body": {name: "withheld"}}


@pytest.mark.parametrize(
    "setting",
    [
        {"extra_body": {"max_tokens": 65_536, "tokenizer": "org/model", "key": None}},
        {"api_key_env": "OPENAI_API_KEY"},
        {"style_map": {"Token Manipulation": "Token Manipulation", "token": "Token Manipulation"}},
    ],
)
def test_what_only_sounds_like_a_secret_stays(setting: dict[str, Any]) -> None:
    assert redact_recipe({"models": {"m": setting}}) == {"models": {"m": setting}}


def test_servers_and_the_commands_that_start_them_go_and_the_recipe_is_still_one() -> None:
    content = made.recipe().canonical()
    content["models"]["red"] = {
        "backend": "http",
        "model": "big",
        "serve": ["/home/ann/venv/bin/vllm", "serve", "{model}", "--api-key", "abc", "--port", "{port}"],
    }
    content["models"]["guard"] = {"backend": "http", "model": "guard", "url": "http://10.1.2.3:8000/v1?key=abc"}
    cleaned = redact_recipe(content)
    assert cleaned["models"]["red"]["serve"] == ["vllm"]
    assert cleaned["models"]["guard"]["url"] == "http://withheld"
    Recipe.model_validate(cleaned)


def test_recipes_that_hold_neither_are_the_same_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SEAS_DATA_REAL", "SEAS_MATERIAL"):
        monkeypatch.setenv(name, "/data/real")
    for path in sorted(folder("pipelines").glob("*.yaml")):
        content = recipes.load(path).canonical()
        for model in content.get("models", {}).values():
            if model.get("serve"):
                model["serve"] = model["serve"][:1]
        assert redact_recipe(content) == content, path.name


json_values = st.recursive(
    st.none() | st.integers() | st.text(max_size=12) | st.sampled_from(["/home/ann/x y/b", "~/x", "sk-" + "a" * 20]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["description", "training", "api_key"]), json_values))
def test_scrubbing_twice_is_scrubbing_once(content: dict[str, Any]) -> None:
    once = redact_recipe(content)
    assert redact_recipe(once) == once
    assert "sk-aaaa" not in json.dumps(once)


def test_every_recipe_key_that_allows_any_content_is_searched_for_secrets() -> None:
    schema = Recipe.model_json_schema()
    free = {
        name
        for section in schema["$defs"].values()
        for name, key in section.get("properties", {}).items()
        if key.get("additionalProperties") is True
    }
    assert free == {"options", "chat_template_kwargs", "extra_body", "trl_options"}
    for name in free:
        assert redact_recipe({name: {"api_key": "abc"}}) == {name: {"api_key": "withheld"}}
