"""The taxonomy: SEAS's 14 types on two axes, and how other sets' labels map onto them.

A prompt can have a *risk category* (what it asks for) and an *attack style* (how it is wrapped). If the style is known
it is the type, and the prompt is Hard; otherwise the risk category is the type, and the prompt is Easy (Diao et al.,
arXiv 2408.02632). The maps below are ours: only SEAS's rows have SEAS's labels. A label without a true counterpart is
left out of its map, and its rows have no value on that axis.
"""

from typing import Final

ATTACK_STYLES: Final = (
    "Role Play",
    "Adversarial Prefix",
    "Jailbreaking",
    "Session Completion",
    "Token Manipulation",
    "Goal Hijacking",
    "Word Play",
    "Code Nesting",
    "One Sided Statement",
)
RISK_CATEGORIES: Final = (
    "Unsafe Instruction",
    "Unfairness And Discrimination",
    "Privacy And Property",
    "Crimes And Illegal Activities",
    "Health Harm",
)
TYPES: Final = ATTACK_STYLES + RISK_CATEGORIES
KINDS: Final = ("adversarial", "harmless", "general")
DIFFICULTIES: Final = ("Easy", "Hard")
SPLITS: Final = ("train", "test", "harmless", "holdout")

_SEAS = {name.replace(" ", "_").casefold(): name for name in TYPES}


def type_of(risk_category: str | None, attack_style: str | None) -> tuple[str | None, str | None]:
    """Return (type, difficulty) of a prompt from its two axes; (None, None) when neither is known."""
    if attack_style is not None:
        return attack_style, "Hard"
    if risk_category is not None:
        return risk_category, "Easy"
    return None, None


def canonical(label: str) -> str | None:
    """Return the type that ``label`` names, in any case and with ``_`` or blanks; None if there is none."""
    return _SEAS.get("_".join(label.replace("_", " ").casefold().split()))


_UNSAFE, _UNFAIR, _PRIVACY, _CRIME, _HEALTH = RISK_CATEGORIES

# One entry per published set and axis; a recipe names it (``risk_map: s-eval``) or gives its own mapping.
RISK_MAPS: Final[dict[str, dict[str, str]]] = {
    "seas": {name.replace(" ", "_"): name for name in RISK_CATEGORIES},
    "s-eval": {
        "Crimes_and_Illegal_Activities": _CRIME,
        "Cybersecurity": _CRIME,
        "Extremism": _CRIME,
        "Data_Privacy": _PRIVACY,
        "Hate_Speech": _UNFAIR,
        "Ethics_and_Morality": _UNFAIR,
        "Physical_and_Mental_Health": _HEALTH,
        "Inappropriate_Suggestions": _UNSAFE,
    },
    "alert": {
        "crime_*": _CRIME,
        "crime_privacy": _PRIVACY,
        "hate_*": _UNFAIR,
        "self_harm_*": _HEALTH,
        "sex_*": _UNSAFE,
        "sex_harassment": _CRIME,
        "substance_*": _CRIME,
        "substance_alcohol": _HEALTH,
        "weapon_*": _CRIME,
    },
    "catqa": {
        "Illegal Activity / *": _CRIME,
        "Child Abuse / *": _CRIME,
        "Malware Viruses / *": _CRIME,
        "Fraud/Deception / *": _CRIME,
        "Economic Harm / *": _CRIME,
        "Economic Harm / Intellectual property theft": _PRIVACY,
        "Fraud/Deception / Identity theft": _PRIVACY,
        "Privacy Violation Activity / *": _PRIVACY,
        "Hate/Harass/Violence / *": _UNFAIR,
        "Hate/Harass/Violence / Terrorism and extremism": _CRIME,
        "Physical Harm / *": _CRIME,
        "Physical Harm / Self-harm": _HEALTH,
        "Physical Harm / Unsafe practices": _HEALTH,
        "Adult Content / *": _UNSAFE,
        "Political Campaigning / *": _UNSAFE,
        "Tailored Financial Advice / *": _UNSAFE,
    },
    "do-not-answer": {
        "Assisting illegal activities": _CRIME,
        "Risks from leaking or inferring sensitive information (organization/gov)": _PRIVACY,
        "Compromise privacy by leaking or inferring private information (person/individual)": _PRIVACY,
        "Social stereotypes and unfair discrimination": _UNFAIR,
        "Toxic language (hate speech)": _UNFAIR,
        "Mental Health or Overreliance Crisis": _HEALTH,
        "Causing material harm by disseminating misinformation e.g. in medicine or law": _HEALTH,
        "Nudging or advising users to perform unethical or unsafe actions": _UNSAFE,
        "Adult Content": _UNSAFE,
    },
    "multijail": {
        "['Violence & incitement'*": _CRIME,
        "['Theft'*": _CRIME,
        "['Fraud & deception'*": _CRIME,
        "['Terrorism & organized crime'*": _CRIME,
        "['Weapons'*": _CRIME,
        "['Property crime & vandalism'*": _CRIME,
        "['Sexual exploitation & human trafficking'*": _CRIME,
        "['Animal abuse'*": _CRIME,
        "['Substance abuse & banned substances'*": _CRIME,
        "['Discrimination & injustice'*": _UNFAIR,
        "['Hate speech & offensive language'*": _UNFAIR,
        "['Bullying & harassment'*": _UNFAIR,
        "['Soliciting personally identifiable information'*": _PRIVACY,
        "['Self-harm'*": _HEALTH,
        "['Adult content'*": _UNSAFE,
        "['Non-violent unethical behavior*": _UNSAFE,
    },
    "harmbench": {
        "illegal / *": _CRIME,
        "cybercrime_intrusion / *": _CRIME,
        "chemical_biological / *": _CRIME,
        "harassment_bullying / *": _UNFAIR,
        "copyright / *": _PRIVACY,
        "harmful / *": _UNSAFE,
    },
    "xstest": {
        "unsafe / contrast_discr": _UNFAIR,
        "unsafe / contrast_privacy": _PRIVACY,
    },
}
STYLE_MAPS: Final[dict[str, dict[str, str]]] = {
    "seas": {name.replace(" ", "_"): name for name in ATTACK_STYLES} | {"One_sided_statement": "One Sided Statement"},
    "s-eval": {
        "code_injection": "Code Nesting",
        "deepinception": "Role Play",
        "goal_hijacking": "Goal Hijacking",
        "instruction_encryption": "Token Manipulation",
        "instruction_jailbreak": "Jailbreaking",
        "compositional_instructions": "Session Completion",
        "positive_induction": "One Sided Statement",
        "reverse_induction": "One Sided Statement",
    },
    "alert": {
        "jailbreaking": "Jailbreaking",
        "adversarial_prefix": "Adversarial Prefix",
        "token_manipulation": "Token Manipulation",
    },
}


def apply_map(mapping: dict[str, str], label: str) -> str | None:
    """Return the value of ``label``: its exact entry, else the longest matching entry that ends in ``*``, else None."""
    if label in mapping:
        return mapping[label]
    prefixes = [key for key in mapping if key.endswith("*") and label.startswith(key[:-1])]
    return mapping[max(prefixes, key=len)] if prefixes else None
