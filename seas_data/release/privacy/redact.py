"""A recipe as others may see it: without secrets, places on a machine, and addresses of servers.

What a recipe passes on to a server or a trainer is free, so it may hold a key or a path, and so may a description. A
release has ``withheld`` in the place of secrets and servers, and of a path its last name. All else, and the recipe's
form, stays: a recipe without any of it is the same afterwards.
"""

import re
from typing import Any

WITHHELD = "withheld"

# The words of a setting's name, as in api_key, extra-headers or apiKey. A number (batch_tokens) is no secret.
_SECRET = {"key", "apikey", "token", "secret", "password", "passwd", "auth", "authorization"}
_SECRET |= {"header", "headers", "cookie", "cookies", "credential", "credentials"}
_FREE_KEYS = {"options", "extra_body", "trl_options"}  # the recipe keys below which any key is allowed
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
LIKE_A_SECRET = re.compile(
    r"\b(?:api_org|sk|rk|pk|hf|gh[pousr]|github_pat|glpat|xox[abprs])[-_][A-Za-z0-9_-]{12,}|\bAKIA[A-Z0-9]{12,}"
    r"|\bAIza[A-Za-z0-9_-]{20,}|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*|\b[Bb]earer\s+\S+"
)
"""What may be a key or a token, loosely: it is left out of recipes and of messages. In prompts ``personal`` looks for
whole ones alone, since most that looks like one there is none."""
_LOGIN = re.compile(r"(?<=://)[^/\s@]+@")
_PATH = re.compile(
    r"(?<![^\s\"'=(,:;])(?:"
    r"(?:file://)?(?:/[^\s/\"']+){2,}/?"  # two names at least: a prompt's wrapper may begin with /command
    r"|(?:file://)?~[\w.-]*(?:/[^\s/\"']+)+/?"
    r"|[A-Za-z]:[\\/][^\s\"']+"
    r"|\\\\[\w.-]+\\[^\s\"']+)"
)


def redact_recipe(content: dict[str, Any]) -> dict[str, Any]:
    """Return the recipe of a manifest as a release may hold it."""
    cleaned: dict[str, Any] = _clean(content)
    models = cleaned.get("models")
    for model in models.values() if isinstance(models, dict) else ():
        if not isinstance(model, dict):  # a recipe that was pulled can be anything
            continue
        if model.get("url"):
            model["url"] = str(model["url"]).split("://")[0] + f"://{WITHHELD}"
        if serve := model.get("serve"):
            model["serve"] = serve[:1] if isinstance(serve, list) else WITHHELD  # the program: the rest may be anything
    return cleaned


def _clean(value: Any, free: bool = False) -> Any:
    """Return ``value`` cleaned; where it is ``free`` to hold anything, what is called a secret is taken for one."""
    if isinstance(value, dict):
        return {
            _text(key): WITHHELD if free and each and _secret(key, each) else _clean(each, free or key in _FREE_KEYS)
            for key, each in value.items()
        }
    if isinstance(value, list):
        return [_clean(each, free) for each in value]
    return _text(value) if isinstance(value, str) else value


def _secret(name: str, value: Any) -> bool:
    words = {word.lower() for word in _WORDS.findall(name)}
    return isinstance(value, str | dict | list) and not words.isdisjoint(_SECRET)


def _text(text: str) -> str:
    text = LIKE_A_SECRET.sub(WITHHELD, _LOGIN.sub("", text))
    return _PATH.sub(lambda found: re.split(r"[\\/]", found[0].rstrip("\\/"))[-1], text)
