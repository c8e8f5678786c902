"""Safety classifiers: one file a family says what it is asked and how its answer is read."""

from typing import Final

from seas_data.judges import qwen3guard
from seas_data.judges.granite_guardian import GRANITE_3_2, GRANITE_3_3, GRANITE_4_1
from seas_data.judges.guard import Guard, Parsed, check
from seas_data.judges.llama_guard import LLAMA_GUARD_2, LLAMA_GUARD_3, LLAMA_GUARD_3_1B, LLAMA_GUARD_4
from seas_data.judges.shieldgemma import SHIELD_GEMMA
from seas_data.judges.wildguard import WILDGUARD
from seas_data.recipe import GuardName, JudgeGuard

__all__ = ["GUARDS", "Guard", "Parsed", "check", "guard_of"]

GUARDS: Final[dict[GuardName, Guard]] = {
    "llama-guard-2": LLAMA_GUARD_2,
    "llama-guard-3": LLAMA_GUARD_3,
    "llama-guard-3-1b": LLAMA_GUARD_3_1B,
    "llama-guard-4": LLAMA_GUARD_4,
    "wildguard": WILDGUARD,
    "qwen3guard": qwen3guard.guard(),
    "shieldgemma": SHIELD_GEMMA,
    "granite-guardian-3.2": GRANITE_3_2,
    "granite-guardian-3.3": GRANITE_3_3,
    "granite-guardian-4.1": GRANITE_4_1,
}


def guard_of(settings: JudgeGuard) -> Guard:
    """Return the guard that ``settings`` name, set as they say."""
    return qwen3guard.guard(settings.controversial) if settings.guard == "qwen3guard" else GUARDS[settings.guard]
