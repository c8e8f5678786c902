"""The closed lists of values of several columns: reasons, roles of pairs, and the columns of a label."""

REASONS = (
    "exact_duplicate",
    "near_duplicate",
    "semantic_duplicate",
    "contaminated",
    "template_cap",
    "contrast_pair",
    "label_conflict",
    "not_embeddable",
    "split_bridge",
    "manual",
    "unreviewed",  # a harmless prompt by a judge's word alone
    "too_long",
    "too_short",
    "invalid",
)
PAIR_ROLES = ("red", "target", "harmless", "general")
UNPAIRED_REASONS = (
    "held_out",  # the prompt, its text or an example of its seed belongs to test, harmless or holdout
    "failed",  # no text came back
    "unjudged",
    "empty",
    "repeated",  # the same text came before, of the same input
    "too_long",
    "unparsed",
    "too_few_verdicts",
    "contradictory",  # one text, judged safe here and unsafe there
    "no_safe",
    "no_unsafe",
    "no_compliance",
    "no_refusal",
    "unsafe",  # a full answer to a harmless prompt, judged unsafe
    "not_full",  # MART: safe, yet no full answer
    "no_success",  # MART: an attack that failed too often
    "reward",
    "alone",  # nothing else of the seed to compare with
    "margin",
    "other_type",
    "length_ratio",
    "near_duplicate",
    "outranked",  # the pairs of its seed or prompt were better
    "cap",
    "balance",
)
LABELS = ("kind", "risk_category", "attack_style", "type", "difficulty", "label_source")
"""The columns of a prompt's label, which a person may change: those of ``relabels``."""
ATTACK_REASONS = ("failed", "empty", "cut_off", "repeats_example", "repeated")
SET_ASIDE_REASONS = ("unreadable", "undecodable", "empty", "too_long", "unknown_kind", "repeated", "forgotten")
