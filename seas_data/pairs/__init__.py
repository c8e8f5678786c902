"""Pairs: from attacks, answers and verdicts to what the two models learn from, with a reason for whatever is not used.

``red_pairs``, ``target_pairs``, ``harmless_pairs`` and ``general_pairs`` make preference pairs; ``mart_red`` and
``mart_target`` make rows for fine-tuning instead. All are functions of frames: the same rows give the same pairs, in
whatever order they come. ``convert.run_from`` makes red or target pairs of a file of the SEAS reference code.
"""

from seas_data.pairs.general import general_pairs
from seas_data.pairs.holdout import held_out
from seas_data.pairs.mart import mart_red, mart_target
from seas_data.pairs.paired import Paired, chosen_only
from seas_data.pairs.reasons import statement
from seas_data.pairs.red import red_pairs
from seas_data.pairs.target import harmless_pairs, target_pairs
from seas_data.pairs.verdicts import judged, rates

__all__ = [
    "Paired",
    "chosen_only",
    "general_pairs",
    "harmless_pairs",
    "held_out",
    "judged",
    "mart_red",
    "mart_target",
    "rates",
    "red_pairs",
    "statement",
    "target_pairs",
]
