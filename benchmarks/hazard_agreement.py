"""Do two sets give the same hazard to nearly the same request? Each prompt against the nearest one of another set.

    python benchmarks/hazard_agreement.py --workspace WS

``WS`` is a build of the sets of ``pipelines/public-prompts.yaml``. The labels of one set were not made from those of
another, so prompts that ask nearly the same test both labels and their rows in the crosswalk. The three parts of S-Eval
count as one set. For each prompt with a hazard and a vector, the neighbour is the most similar prompt with a hazard in
the other sets; a pair counts once, if its cosine similarity reaches the threshold. Chance is the agreement if the
hazards of these pairs were dealt out at random.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).parents[1]))

import seas_data as sd
from seas_data.metrics.intervals import wilson

THRESHOLDS = (0.6, 0.65, 0.7, 0.75)


def neighbours(prompts: pl.DataFrame) -> pl.DataFrame:
    """Return each pair of nearest prompts of two sets.

    Input columns: set, hazard, vector.
    Output columns: similarity, hazard, other_hazard.
    """
    vectors = np.stack(prompts["vector"].to_list()).astype(np.float32)
    similar, sets = vectors @ vectors.T, prompts["set"].to_numpy()
    similar[sets[:, None] == sets[None, :]] = -1
    number, nearest = np.arange(prompts.height), similar.argmax(axis=1)
    pairs = {
        "first": np.minimum(number, nearest),
        "second": np.maximum(number, nearest),
        "similarity": similar[number, nearest],
    }
    return (
        pl.DataFrame(pairs)
        .unique(["first", "second"])
        .select(
            "similarity",
            pl.col("first").replace_strict(number, prompts["hazard"]).alias("hazard"),
            pl.col("second").replace_strict(number, prompts["hazard"]).alias("other_hazard"),
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", type=Path, required=True)
    version = sd.open(parser.parse_args().workspace).version()
    prompts = (
        version.table("prompts")
        .filter(pl.col("hazard").is_not_null())
        .join(version.table("embeddings"), on="prompt_id")
        .with_columns(pl.col("source").str.replace("^seval_.*", "seval").alias("set"))
        .sort("prompt_id")
    )
    found = neighbours(prompts)
    for threshold in THRESHOLDS:
        pairs = found.filter(pl.col("similarity") >= threshold)
        same = (pairs["hazard"] == pairs["other_hazard"]).sum()
        low, high = wilson(same, pairs.height)
        shares = [Counter(pairs[name]) for name in ("hazard", "other_hazard")]
        chance = sum(number * shares[1][hazard] for hazard, number in shares[0].items()) / pairs.height**2
        print(
            f"similarity {threshold}: {pairs.height} pairs, {same / pairs.height:.0%} have the same hazard "
            f"({low:.0%} to {high:.0%}; {chance:.0%} by chance)"
        )


if __name__ == "__main__":
    main()
