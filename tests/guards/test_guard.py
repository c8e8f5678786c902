from typing import Any, get_args

import pytest

from seas_data.errors import SeasDataError
from seas_data.guards import GUARDS, check
from seas_data.loop_settings import GuardName, ModelHttp, ModelInProcess


def served(**changes: Any) -> ModelHttp:
    return ModelHttp(**{"backend": "http", "model": "m", "url": "http://127.0.0.1:8000/v1"} | changes)


def test_every_guard_that_a_recipe_may_name_is_there_under_its_name() -> None:
    assert set(GUARDS) == set(get_args(GuardName))
    assert all(guard.name == name for name, guard in GUARDS.items())


def test_every_guard_can_run_in_process() -> None:
    for guard in GUARDS.values():
        check(guard, ModelInProcess(model="m"))


def test_a_backend_that_cannot_serve_a_guard_is_refused_with_one_that_can() -> None:
    for form in ("chat", "completion"):
        with pytest.raises(SeasDataError, match=r"logits.*backend: transformers"):
            check(GUARDS["shieldgemma"], served(form=form))
    with pytest.raises(SeasDataError, match="form: completion"):
        check(GUARDS["wildguard"], served())
    check(GUARDS["wildguard"], served(form="completion"))


@pytest.mark.parametrize("name", [name for name in GUARDS if name not in ("shieldgemma", "wildguard")])
def test_the_others_can_be_served_either_way(name: GuardName) -> None:
    check(GUARDS[name], served())
    check(GUARDS[name], served(form="completion"))
