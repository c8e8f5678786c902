"""Preference pairs and demonstrations from attacks, responses and verdicts, with a reason for every unused candidate.

``red_pairs``, ``target_pairs``, ``harmless_pairs`` and ``general_pairs`` build preference pairs for DPO; ``mart_red``,
``mart_target`` and ``mart_harmless`` build demonstrations for fine-tuning. All are pure functions of frames whose
result does not depend on row order. ``pair_version`` pairs the answers that the sources of a version bring, without
a loop. ``convert_reference.convert_file`` builds red or target pairs from a file of the SEAS
reference code.
"""

from seas_data.pairs.general import general_pairs
from seas_data.pairs.holdout import select_held_out
from seas_data.pairs.logged import pair_answers, pair_version
from seas_data.pairs.mart import mart_harmless, mart_red, mart_target
from seas_data.pairs.reasons import describe, summarize
from seas_data.pairs.red import red_pairs
from seas_data.pairs.result import PairResult, chosen_as_demonstrations
from seas_data.pairs.target import harmless_pairs, target_pairs
from seas_data.pairs.verdicts import count_unsafe, select_verdicts

__all__ = [
    "PairResult",
    "chosen_as_demonstrations",
    "count_unsafe",
    "describe",
    "general_pairs",
    "harmless_pairs",
    "mart_harmless",
    "mart_red",
    "mart_target",
    "pair_answers",
    "pair_version",
    "red_pairs",
    "select_held_out",
    "select_verdicts",
    "summarize",
    "target_pairs",
]
