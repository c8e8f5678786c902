"""Redaction of recipes for releases, and of settings: without secrets, paths of the machine, addresses of servers.

Options that a recipe passes to a server or a trainer can be anything, so they may contain keys and paths, and so may a
description. In a release ``withheld`` replaces secrets and servers, and a path keeps only its last name. Everything
else is unchanged.
"""

import re
from typing import Any

WITHHELD = "withheld"

# Words in the name of an option, such as api_key, extra-headers or apiKey. A number (batch_tokens) is not a secret.
_SECRET = {"key", "apikey", "token", "secret", "password", "passwd", "auth", "authorization"}
_SECRET |= {"header", "headers", "cookie", "cookies", "credential", "credentials"}
# The recipe keys below which any key is allowed.
_FREE_KEYS = {"options", "chat_template_kwargs", "extra_body", "trl_options", "unsafe_values", "safe_values"}
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
LIKE_A_SECRET = re.compile(
    r"\b(?:api_org|sk|rk|pk|hf|gh[pousr]|github_pat|glpat|xox[abprs])[-_][A-Za-z0-9_-]{12,}|\bAKIA[A-Z0-9]{12,}"
    r"|\bAIza[A-Za-z0-9_-]{20,}|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*|\b[Bb]earer\s+\S+"
)
"""What may be a key or a token, loosely: it is removed from recipes and messages. In prompts ``pii`` reports only
well-formed keys, because there most strings that look like a key are none."""
_LOGIN = re.compile(r"(?<=://)[^/\s@]+@")
_PATH = re.compile(
    r"(?<![^\s\"'=(,:;])(?:"
    r"(?:file://)?(?:/[^\s/\"']+){2,}/?"  # at least two names, because a prompt's wrapper may begin with /command
    r"|(?:file://)?~[\w.-]*(?:/[^\s/\"']+)+/?"
    r"|[A-Za-z]:[\\/][^\s\"']+"
    r"|\\\\[\w.-]+\\[^\s\"']+)"
)


def redact_recipe(content: dict[str, Any]) -> dict[str, Any]:
    """Return the recipe of a manifest, redacted for a release."""
    cleaned: dict[str, Any] = _clean(content)
    models = cleaned.get("models")
    for model in models.values() if isinstance(models, dict) else ():
        if not isinstance(model, dict):  # a pulled recipe can be anything
            continue
        if model.get("url"):
            model["url"] = str(model["url"]).split("://")[0] + f"://{WITHHELD}"
        if serve := model.get("serve"):
            model["serve"] = serve[:1] if isinstance(serve, list) else WITHHELD  # the program only
    return cleaned


def redact_options(options: dict[str, Any]) -> dict[str, Any]:
    """Return the free options of a recipe, for a table that is released: redacted as in the recipe of a release."""
    cleaned: dict[str, Any] = _clean(options, free=True)
    return cleaned


def _clean(value: Any, free: bool = False) -> Any:
    """Return ``value`` redacted; in ``free`` options, values whose names are those of secrets are withheld."""
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
