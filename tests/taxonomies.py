"""The categories of the default taxonomy, by axis, for tests that need some."""

from seas_data.recipe.taxonomy import default_taxonomy

SEAS = default_taxonomy()
ATTACK_STYLES, RISK_CATEGORIES, TYPES = SEAS.style.names, SEAS.risk.names, SEAS.types
