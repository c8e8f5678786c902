"""What was made and what was not, in a sentence: also, and above all, when nothing was."""

import polars as pl

REASONS = {
    "held_out": "belong to test, harmless or holdout",
    "failed": "have no text",
    "empty": "are blank",
    "repeated": "repeat another",
    "too_long": "are too long",
    "unjudged": "have no verdict",
    "unparsed": "have a verdict that does not parse",
    "too_few_verdicts": "have too few verdicts that parsed",
    "contradictory": "were judged both ways",
    "no_safe": "have no safe counterpart",
    "no_unsafe": "have no unsafe counterpart",
    "no_compliance": "have no full and safe answer beside them",
    "no_refusal": "answer a prompt that was not refused",
    "unsafe": "are unsafe",
    "not_full": "are no full answer",
    "no_success": "failed too often",
    "reward": "have too low a reward",
    "alone": "are the only usable one of their seed",
    "margin": "differ too little from the others of their seed",
    "other_type": "are of another type than those they could be paired with",
    "length_ratio": "differ too much in length from those they could be paired with",
    "near_duplicate": "are too like those they could be paired with",
    "outranked": "have better pairs before them",
    "cap": "are over the number asked for",
    "balance": "are more than the other types have",
}


def statement(role: str, pairs: pl.DataFrame, unpaired: pl.DataFrame) -> str:
    """Return how many ``pairs`` of ``role`` there are and why the others of its candidates are in none."""
    made = pairs.filter(pl.col("role") == role).height
    rows = unpaired.filter(pl.col("role") == role)
    return sentence(role, made, dict(rows.group_by("reason").len().iter_rows()))


def sentence(role: str, made: int, reasons: dict[str, int]) -> str:
    """Return the same from the number of pairs and the number of unpaired candidates by reason."""
    candidates = {"red": "attacks", "general": "general pairs"}.get(role, "responses")
    head = f"{made or 'no'} {role} pair{'' if made == 1 else 's'}"
    left = sum(reasons.values())
    if not left:
        return f"{head}; no candidate was left over" if made else f"{head}: there were no {candidates} to pair"
    ranked = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    return f"{head}; of the {left} {candidates} in none " + ", ".join(f"{n} {REASONS[why]}" for why, n in ranked)
