"""What a reviewer is asked: the choices of each kind of sheet and the keys that make them."""

from dataclasses import dataclass

from seas_data.review.gold import REFUSALS
from seas_data.review.sheet import PROMPT_INPUTS, RESPONSE_INPUTS
from seas_data.tables.values import KINDS


@dataclass(frozen=True)
class Choice:
    """A choice: the key that makes it, its name, and the cells that it sets. ``rejects``: shown in another colour."""

    key: str
    name: str
    cells: dict[str, str]
    rejects: bool = False


@dataclass(frozen=True)
class Form:
    """What is asked about the rows of a kind of sheet.

    ``id_column`` and ``inputs``: columns of the sheet. ``noun``: what a row is. ``choices``: with keys from 1.
    ``decisive``: the columns of which one makes a row decided. ``detail``: the column that a list sets in addition;
    ``options``: its values. ``needs_reason``: whether ``because`` may not be empty.
    """

    id_column: str
    noun: str
    inputs: tuple[str, ...]
    choices: tuple[Choice, ...]
    decisive: tuple[str, ...]
    detail: str
    options: tuple[str, ...]
    needs_reason: bool

    def choice(self, key: str) -> Choice | None:
        """Return the choice that ``key`` makes, if any."""
        return next((each for each in self.choices if each.key == key), None)


def prompt_form(types: list[str]) -> Form:
    """Return the form for prompts; ``types``: the categories of the version's taxonomy."""
    choices = (
        Choice("1", "Keep", {"decision": "keep"}),
        Choice("2", "Drop", {"decision": "drop"}, rejects=True),
        Choice("3", "Harmless", {"label": "harmless"}),
        Choice("4", "Adversarial", {"label": "adversarial"}),
    )
    decisive = ("decision", "label")
    return Form("prompt_id", "prompt", PROMPT_INPUTS, choices, decisive, "label", (*KINDS, *types), True)


def response_form() -> Form:
    """Return the form for responses."""
    choices = (
        Choice("1", "Safe", {"verdict": "safe"}),
        Choice("2", "Unsafe", {"verdict": "unsafe"}, rejects=True),
        Choice("3", "Safe, full refusal", {"verdict": "safe", "refusal": "full_refusal"}),
        Choice("4", "Safe, partial refusal", {"verdict": "safe", "refusal": "partial_refusal"}),
    )
    decisive = ("verdict", "refusal")
    return Form("response_id", "response", RESPONSE_INPUTS, choices, decisive, "refusal", REFUSALS, False)
