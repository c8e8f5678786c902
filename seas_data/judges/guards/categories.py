"""Canonical names of hazards, so that the categories of different guards can be compared.

The names are those of MLCommons (its taxonomy 0.5, and the two that Llama Guard 3 added). Codes are not stored, because
one code is not one hazard: S5 is Specialized Advice to Llama Guard 2 and Defamation to 3 and 4. A category without a
counterpart here keeps the guard's own name.
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

# Names that several guards share and MLCommons does not have.
HARASSMENT: Final = "Harassment"
THREAT: Final = "Threat"
UNETHICAL: Final = "Unethical Acts"
VIOLENCE: Final = "Violence"
