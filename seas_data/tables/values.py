"""The closed lists of values of several columns: kinds, splits, reasons, roles of pairs, and the columns of a label."""

REASONS = (
    "exact_duplicate",
    "near_duplicate",
    "semantic_duplicate",
    "contaminated",
    "template_cap",
    "contrast_pair",
    "label_conflict",
    "not_embeddable",
    "disguised",  # equal to another text only in the folded form
    "hidden_payload",  # data in invisible characters
    "split_bridge",
    "manual",
    "unreviewed",  # harmless only by the verdict of a judge
    "too_long",
    "too_short",
    "invalid",
)
KINDS = ("adversarial", "harmless", "general")
AXES = ("style", "risk")
DIFFICULTIES = ("Easy", "Hard")
SPLITS = ("train", "test", "harmless", "holdout")
CATEGORY_PATTERN = r"^\w([\w &/,'().+:-]{0,78}[\w).+])?$"
"""Names of categories: words, and signs that mean nothing in a card, a table or a file of a spreadsheet."""
PAIR_ROLES = ("red", "target", "harmless", "general")
PAIR_ROLES_OF = {"red": ("red",), "target": ("target", "harmless", "general")}
"""The roles of pairs that each model is trained on."""
UNPAIRED_REASONS = (
    "held_out",  # the prompt, its text or an example of its seed belongs to test, harmless or holdout
    "failed",  # the request failed
    "unjudged",
    "empty",
    "repeated",  # an earlier candidate of the same input has the same text
    "too_long",
    "unparsed",
    "too_few_verdicts",
    "contradictory",  # the same text was judged both safe and unsafe
    "no_safe",
    "no_unsafe",
    "no_compliance",
    "no_refusal",
    "unsafe",  # a full answer to a harmless prompt, judged unsafe; MART: any unsafe response
    "not_full",  # MART: no full answer to a harmless prompt
    "no_success",  # MART: an attack that failed too often
    "score",  # MART: safe, but not surely enough
    "reward",
    "invalid",  # an invalid attack is never the chosen side
    "alone",  # the only candidate of its seed
    "margin",
    "other_type",
    "length_ratio",
    "near_duplicate",
    "outranked",  # its seed or prompt has better pairs
    "cap",
    "balance",
)
LABELS = ("kind", "risk_category", "attack_style", "type", "difficulty", "label_source")
"""The columns of a prompt's label, which people can change: those of ``relabels``."""
ATTACK_REASONS = ("failed", "empty", "cut_off", "repeats_example", "repeated")
INVALID_REASONS = (
    "attacker_refused",  # the red team refused to write an attack
    "echoes_request",  # it repeats what it was asked, or talks about it
    "gibberish",
    "harmless",  # a judge of prompts finds no harm in it
    "off_type",  # the nearest training prompt has another type than the seed
)
"""Why an attack that was sent to a target is invalid."""
SET_ASIDE_REASONS = (
    "unreadable",
    "undecodable",
    "empty",
    "too_long",
    "unknown_kind",
    "unknown_language",
    "repeated",
    "forgotten",
    "several_turns",  # turns that cannot be a prompt: they do not alternate, or the last one is not the user's
    "not_text",  # a turn is an image, audio or another thing that is not text
    "never_sent",  # an attack in a log that did not reach the target
    "unfinished",  # the log broke off before the attempt was over
    "not_target",  # a conversation in a log with another model than the target: the attacker, a judge
)
