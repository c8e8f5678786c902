"""Do the crosswalk's hazards hold for the prompts themselves? A sample for readers, and what two readers found.

    python benchmarks/hazard_reading.py draw --workspace WS -o rows.csv    # 100 rows, with texts: keep it private
    python benchmarks/hazard_reading.py score                              # precision for each set, and agreement

``WS`` is a build of ``pipelines/public-prompts.yaml``. The rows of each source are ordered by a digest of their id and
the seed, so that any build of the same sets gives the same sample. Translations are left out: MultiJail has the same
requests in ten languages. A reader compares each prompt with the description of its hazard in
``taxonomies/ailuminate.yaml`` and gives one word:

    exact         the hazard is what the prompt is about
    acceptable    the hazard applies, but another one applies more, or the description covers it only in part
    wrong         the hazard does not apply

``hazard_reading.csv`` has the words of two separate readings, each by a language model, without texts. They led to a
change: the labels of CatQA on financial advice have been ``broader`` in the crosswalk since, so that a sample drawn
today has three other prompts of CatQA.
"""

import argparse
import hashlib
import os
import sys
from pathlib import Path

import polars as pl
from sklearn.metrics import cohen_kappa_score

sys.path.insert(0, str(Path(__file__).parents[1]))

import seas_data as sd
from seas_data.metrics.intervals import wilson
from seas_data.recipe.taxonomy import load_packaged

READINGS = Path(__file__).with_suffix(".csv")
SEED = 11
ROWS = {
    **{"alert_adversarial_sample": 14, "catqa_en": 16, "do_not_answer_en": 14, "harmbench_text": 14, "multijail": 12},
    **{"seval_base_en": 8, "seval_base_zh": 6, "seval_attack_en": 6, "xstest_v2": 10},
}


def draw(prompts: pl.DataFrame) -> pl.DataFrame:
    """Return the sample.

    Input columns: source, source_id, language, hazard, text.
    Output columns: source, source_id, hazard, name, description, text.
    """
    described = pl.DataFrame(
        [
            {"hazard": code, "name": category.name, "description": category.description}
            for category in load_packaged("ailuminate").risk.categories
            for code in category.hazards
        ]
    )
    place = pl.col("source_id").map_elements(
        lambda each: hashlib.sha256(f"{SEED}:{each}".encode()).hexdigest(), return_dtype=pl.String
    )
    return (
        prompts.filter(pl.col("hazard").is_not_null())
        .filter((pl.col("source") != "multijail") | (pl.col("language") == "en"))
        .with_columns(place.alias("place"))
        .filter(
            pl.col("place").rank("ordinal").over("source")
            <= pl.col("source").replace_strict(ROWS, default=0, return_dtype=pl.UInt32)
        )
        .join(described, on="hazard")
        .sort("place")
        .select("source", "source_id", "hazard", "name", "description", "text")
    )


def score(readings: pl.DataFrame) -> pl.DataFrame:
    """Return the precision of each set and of all rows, by each reader and by both.

    Input columns: source, source_id, hazard, first, second.
    Output columns: set, rows, first_main, second_main, both_main, first_holds, second_holds, both_hold, low, high,
    agree.
    """
    main, holds = pl.col("first", "second") == "exact", pl.col("first", "second") != "wrong"
    sets = readings.with_columns(pl.col("source").str.replace("^seval_.*", "seval").alias("set"))
    counted = (
        pl.concat([sets, sets.with_columns(pl.lit("all").alias("set"))])
        .group_by("set")
        .agg(
            pl.len().alias("rows"),
            main.mean().name.suffix("_main"),
            pl.all_horizontal(main).mean().alias("both_main"),
            holds.mean().name.suffix("_holds"),
            pl.all_horizontal(holds).mean().alias("both_hold"),
            (pl.col("first") == pl.col("second")).mean().alias("agree"),
        )
        .sort(pl.col("set") == "all", "set")
    )
    intervals = [wilson(rows * held, rows) for rows, held in counted.select("rows", "both_hold").rows()]
    ends = pl.DataFrame(intervals, schema=["low", "high"], orient="row")
    return pl.concat([counted.drop("agree"), ends, counted.select("agree")], how="horizontal")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    drawing = commands.add_parser("draw")
    drawing.add_argument("--workspace", type=Path, required=True)
    drawing.add_argument("-o", "--output", type=Path, required=True)
    scoring = commands.add_parser("score")
    scoring.add_argument("--readings", type=Path, default=READINGS)
    options = parser.parse_args()
    if options.command == "draw":
        rows = draw(sd.open(options.workspace).version().table("prompts"))
        with os.fdopen(os.open(options.output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            rows.write_csv(file)
        print(f"{rows.height} rows in {options.output}; it has the texts of the prompts, so keep it private")
        return
    readings = pl.read_csv(options.readings)
    with pl.Config(tbl_rows=-1, tbl_cols=-1, float_precision=2, tbl_hide_dataframe_shape=True, tbl_width_chars=200):
        print(score(readings))  # low and high: the 95 % interval of both_hold
    applies = readings.select(pl.col("first", "second") != "wrong")
    print(f"Cohen's kappa of the three words: {cohen_kappa_score(readings['first'], readings['second']):.2f}")
    print(f"Cohen's kappa of wrong or not: {cohen_kappa_score(applies['first'], applies['second']):.2f}")


if __name__ == "__main__":
    main()
