"""What guards call things, under one name each.

The hazards are MLCommons' (its taxonomy 0.5 and the two that Llama Guard 3 added). The same code is not the same
hazard: S5 is Specialized Advice to Llama Guard 2 and Defamation to 3 and 4, so codes are never stored without their
guard. Where a guard's category has no counterpart, its own name stays.
"""

from typing import Final

VIOLENT: Final = "Violent Crimes"
NON_VIOLENT: Final = "Non-Violent Crimes"
SEX_RELATED: Final = "Sex-Related Crimes"
CHILD: Final = "Child Sexual Exploitation"
DEFAMATION: Final = "Defamation"
ADVICE: Final = "Specialized Advice"
PRIVACY: Final = "Privacy"
PROPERTY: Final = "Intellectual Property"
WEAPONS: Final = "Indiscriminate Weapons"
HATE: Final = "Hate"
SELF_HARM: Final = "Suicide & Self-Harm"
SEXUAL: Final = "Sexual Content"
ELECTIONS: Final = "Elections"
CODE: Final = "Code Interpreter Abuse"

_SECOND: Final = (
    VIOLENT,
    NON_VIOLENT,
    SEX_RELATED,
    CHILD,
    ADVICE,
    PRIVACY,
    PROPERTY,
    WEAPONS,
    HATE,
    SELF_HARM,
    SEXUAL,
)
_THIRD: Final = (*_SECOND[:4], DEFAMATION, *_SECOND[4:], ELECTIONS, CODE)


def _numbered(names: tuple[str, ...]) -> dict[str, str]:
    return {f"S{number}": name for number, name in enumerate(names, 1)}


LLAMA_GUARD_2: Final = _numbered(_SECOND)
LLAMA_GUARD_3: Final = _numbered(_THIRD)
LLAMA_GUARD_3_1B: Final = _numbered(_THIRD[:-1])
LLAMA_GUARD_4: Final = _numbered(_THIRD)
QWEN3GUARD: Final = {
    "Violent": VIOLENT,
    "Non-violent Illegal Acts": NON_VIOLENT,
    "Sexual Content or Sexual Acts": SEXUAL,
    "PII": PRIVACY,
    "Suicide & Self-Harm": SELF_HARM,
    "Unethical Acts": "Unethical Acts",
    "Politically Sensitive Topics": "Politically Sensitive Topics",
    "Copyright Violation": PROPERTY,
    "Jailbreak": "Jailbreak",
}
SHIELDGEMMA: Final = {
    "No Dangerous Content": "Dangerous Content",
    "No Harassment": "Harassment",
    "No Hate Speech": HATE,
    "No Sexually Explicit Information": SEXUAL,
}
