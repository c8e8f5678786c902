"""Summaries of pair building in one sentence: how many pairs, and why the other candidates are in none."""

import polars as pl

REASONS = {
    "held_out": "of test, harmless or holdout",
    "failed": "without a text",
    "empty": "blank",
    "repeated": "that repeat another",
    "too_long": "too long",
    "unjudged": "without a verdict",
    "unparsed": "whose verdict does not parse",
    "too_few_verdicts": "with too few verdicts that parsed",
    "contradictory": "judged both ways",
    "no_safe": "without a safe counterpart",
    "no_unsafe": "without an unsafe counterpart",
    "no_compliance": "without a full and safe answer beside them",
    "no_refusal": "without a refusal beside them",
    "unsafe": "judged unsafe",
    "not_full": "that are no full answer",
    "no_success": "that failed too often",
    "score": "safe by too little",
    "reward": "of too low a reward",
    "invalid": "that are invalid attacks",
    "alone": "without another usable one of their seed",
    "margin": "too little apart from the others of their seed",
    "other_type": "of another type than those they could be paired with",
    "length_ratio": "too different in length from those they could be paired with",
    "near_duplicate": "too like those they could be paired with",
    "outranked": "behind better pairs of their seed or prompt",
    "cap": "over the number asked for",
    "balance": "over the number of the other types",
}


def describe(built: dict[str, pl.DataFrame]) -> list[str]:
    """Return a sentence for each role that ``pairs`` or ``demonstrations`` of ``built`` can train."""
    if "demonstrations" in built:
        return [f"{built['demonstrations'].height} rows to fine-tune the target on"]
    return [summarize(role, built["pairs"], built["unpaired"]) for role in ("target", "harmless")]


def summarize(role: str, pairs: pl.DataFrame, unpaired: pl.DataFrame) -> str:
    """Return one sentence: the number of ``pairs`` of ``role``, and the ``unpaired`` candidates by reason."""
    made = pairs.filter(pl.col("role") == role).height
    rows = unpaired.filter(pl.col("role") == role)
    return summarize_counts(role, made, dict(rows.group_by("reason").len().iter_rows()))


def summarize_counts(role: str, made: int, reasons: dict[str, int]) -> str:
    """Return the sentence of ``summarize`` for ``made`` pairs and the number of unpaired candidates by reason."""
    candidates = {"red": "attacks", "general": "general pairs"}.get(role, "responses")
    head = f"{made or 'no'} {role} pair{'' if made == 1 else 's'}"
    left = sum(reasons.values())
    if not left:
        return f"{head}; no candidate was left over" if made else f"{head}: there were no {candidates} to pair"
    ranked = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    return f"{head}; {left} {candidates} in none: " + ", ".join(f"{count} {REASONS[why]}" for why, count in ranked)
