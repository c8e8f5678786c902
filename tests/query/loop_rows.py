"""What each answer of a version was, put together from its tables in Polars, and intervals by statsmodels.

It is written apart from the views and macros that it is held against, and knows the prompts of a made workspace alone.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl
import statsmodels.api as sm
from statsmodels.stats.proportion import proportion_confint

from seas_data.query.version import Version
from tests.taxonomies import ATTACK_STYLES

LABELS = ("kind", "type", "risk_category", "attack_style", "difficulty")


def answers(version: Version) -> pl.DataFrame:
    """Return a row for each response and judge: what was asked, by whom, of which set, and what the judge said."""
    seeds = version.table("seeds").select("seed_id", "type")
    attacks = version.table("attacks").join(seeds, on="seed_id", how="left")
    style = pl.col("type").is_in(ATTACK_STYLES)
    by_models = attacks.select(
        "prompt_id",
        "seed_id",
        "type",
        "iteration",
        kind=pl.lit("adversarial"),
        prompt_set=pl.col("split").replace({"test": "evaluation"}),
        red_team="model",
        attack_style=pl.when(style).then("type"),
        risk_category=pl.when(~style).then("type"),
        difficulty=pl.when(style).then(pl.lit("Hard")).when(pl.col("type").is_not_null()).then(pl.lit("Easy")),
        source=pl.lit("red-team"),
    )
    placed = version.table("prompts").join(version.table("splits"), on="prompt_id")
    general = (pl.col("split") == "test") & (pl.col("kind") == "general")
    # What the prompts say of an attack that joined them stands over its seed; a harmless one is nobody's attack.
    told = version.table("prompts").select("prompt_id", *LABELS, joined=pl.lit(True))
    by_models = by_models.join(told, on="prompt_id", how="left", suffix="_told")
    by_models = by_models.with_columns(
        pl.when("joined").then(f"{name}_told").otherwise(name).alias(name) for name in LABELS
    ).select(by_models.columns[: by_models.columns.index("source") + 1])
    by_models = by_models.with_columns(
        pl.when(kind="adversarial").then(name) for name in ("seed_id", "iteration", "red_team")
    )
    others = placed.join(attacks, on="prompt_id", how="anti").select(
        "prompt_id",
        "kind",
        "type",
        "attack_style",
        "risk_category",
        "difficulty",
        "source",
        prompt_set=pl.when(pl.col("split") == "holdout")
        .then("source")
        .when(general)
        .then(pl.lit("general"))
        .otherwise("split"),
    )
    asked = pl.concat([by_models, others], how="diagonal")
    said = version.table("responses").select("response_id", "prompt_id", "tokens", target="model")
    number = pl.col("target").str.slice(1).cast(pl.Int32)
    newer = pl.max_horizontal(number, pl.col("red_team").str.slice(1).cast(pl.Int32))
    return (
        version.table("verdicts")
        .join(said, on="response_id")
        .join(asked, on="prompt_id")
        .with_columns(
            unsafe=pl.col("verdict").replace_strict({"unsafe": True, "safe": False}, default=None),
            unit_id=pl.coalesce("seed_id", "prompt_id"),
            iteration=pl.when(pl.col("prompt_set") == "train")
            .then(pl.coalesce("iteration", number + 1))
            .otherwise(newer),
        )
    )


def interval(flags: Sequence[bool], clusters: Sequence[str]) -> tuple[float, float]:
    """Return Wilson's interval on the effective number of rows, by the ratio of two variances of a mean: regressed on
    nothing but a constant, robust against clusters, and not."""
    values = np.asarray(flags, dtype=float)
    codes = np.unique(np.asarray(clusters), return_inverse=True)[1]
    units = int(codes.max()) + 1
    n: float = units
    if 0 < values.mean() < 1 and units > 1:
        model = sm.OLS(values, np.ones(len(values)))
        robust = model.fit(cov_type="cluster", cov_kwds={"groups": codes}).cov_params()[0, 0]
        n = max(len(values) / max(robust / model.fit().cov_params()[0, 0], 1.0), 1.0)
    low, high = proportion_confint(values.mean() * n, n, method="wilson")
    return float(low), float(high)


def shares(rows: pl.DataFrame, by: Sequence[str], flag: str, unit: str = "unit_id") -> dict[tuple[object, ...], object]:
    """Return (share, low, high, n) of ``flag`` for each group of ``by``."""
    found: dict[tuple[object, ...], object] = {}
    for key, group in rows.drop_nulls(flag).group_by(*by):
        flags, units = group[flag].to_list(), group[unit].to_list()
        found[key] = (sum(flags) / len(flags), *interval(flags, units), len(flags))
    return found
