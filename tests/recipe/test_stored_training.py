"""Training settings of a version's stored recipe, and changes to them."""

import pytest

from seas_data.errors import SeasDataError
from seas_data.recipe import Training, stored_training


def test_stored_settings_are_read_and_changed() -> None:
    stored = {
        "training": {"target": {"learning_rate": 0.5, "accelerate_config": "ddp.yaml", "chat_template": "a.jinja"}}
    }
    settings = stored_training(stored, ["training.target.epochs=3"])
    assert (settings.target.learning_rate, settings.target.epochs) == (0.5, 3)
    assert (settings.target.accelerate_config, settings.target.chat_template) == (None, None)
    assert stored["training"]["target"]["accelerate_config"] == "ddp.yaml"


def test_a_recipe_without_the_section_has_the_defaults() -> None:
    assert stored_training({}) == Training()


def test_what_is_wrong_is_named() -> None:
    with pytest.raises(SeasDataError, match=r"--set pairs\.mode=mart should begin with training\."):
        stored_training({}, ["pairs.mode=mart"])
    with pytest.raises(SeasDataError, match=r"training: .*epochz"):
        stored_training({}, ["training.target.epochz=3"])
