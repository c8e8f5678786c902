"""Documented defaults of curation. Other tests state the settings they rely on, so a tuned default breaks only this.

The documentation of these values is docs/curation.md, docs/templates.md and docs/labels.md.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from seas_data.recipe import Curation, Embedder

DEFAULTS: dict[str, Any] = {
    "embedder.max_unknown_proportion": 0.1,
    "curation.limits.min_characters": 3,
    "curation.limits.max_characters": 20_000,
    "curation.contamination.ngram_threshold": 0.8,
    "curation.contamination.semantic_threshold": 0.95,
    "curation.templates.detect": True,
    "curation.templates.min_rows": 20,
    "curation.templates.min_characters": 60,
    "curation.templates.max_per_template": 200,
    "curation.near.duplicate_threshold": 0.8,
    "curation.near.group_threshold": 0.6,
    "curation.semantic.duplicate_threshold": 0.95,
    "curation.semantic.group_threshold": 0.92,
    "curation.semantic.translations": "keep",
    "curation.semantic.exact_rows": None,
    "curation.drop_disguised": False,
    "curation.drop_other_system_turns": False,
    "curation.separate_negations": True,
    "curation.labels.infer": True,
    "curation.labels.min_rows": 30,
    "curation.labels.min_probability": 0.6,
    "curation.clusters.count": None,
    "curation.clusters.map_fit_rows": 3_000,
    "curation.split.test": 0.1,
    "curation.split.harmless": 0.2,
    "curation.split.group_by_request": False,
}


def list_settings(prefix: str, settings: BaseModel) -> Iterator[tuple[str, Any]]:
    """Yield the key and value of every setting that is not a section."""
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            yield from list_settings(f"{prefix}.{name}", value)
        else:
            yield f"{prefix}.{name}", value


ACTUAL = dict(list_settings("curation", Curation())) | {
    "embedder.max_unknown_proportion": Embedder().max_unknown_proportion
}


@pytest.mark.parametrize("key", DEFAULTS)
def test_a_default_is_the_documented_one(key: str) -> None:
    assert ACTUAL[key] == DEFAULTS[key]


def test_every_setting_of_curation_is_listed() -> None:
    assert ACTUAL.keys() == DEFAULTS.keys()
