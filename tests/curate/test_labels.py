"""Labels: who gets one, who teaches, what is never given, and what the metrics say of it."""

import json

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from seas_data import recipe, tables
from seas_data.curate import labels
from seas_data.curate.labels import infer_labels
from seas_data.text import content_id, text_digest
from tests.curate.settings import LABELS
from tests.taxonomies import SEAS

SETTINGS = LABELS
CRIME, HEALTH, PRIVACY = "Crimes And Illegal Activities", "Health Harm", "Privacy And Property"
STYLE = "Role Play"
DIRECTION = {CRIME: [0], HEALTH: [1], PRIVACY: [2], STYLE: [0, 3], None: [0, 1]}  # an attack asks for something too


class World:
    """Rows whose vectors lie near the direction of their topic, under which they may be labelled or not."""

    def __init__(self) -> None:
        self.rows: list[dict[str, object]] = []
        self.topics: list[list[int]] = []

    def add(self, count: int, topic: str | None, source: str, *, labelled: bool = True, **columns: object) -> "World":
        for _ in range(count):
            number = len(self.rows)
            risk, style = (None, topic) if topic == STYLE else (topic, None)
            kind, difficulty = SEAS.type_of(risk, style)
            known = {"risk_category": risk, "attack_style": style, "type": kind, "difficulty": difficulty}
            text = f"invented mild question {number}"
            row = {"prompt_id": content_id("row", number), "text": text, "text_digest": text_digest(text)}
            row |= {"kind": "adversarial", "role": "training", "source": source, "source_id": str(number)}
            row |= known | {"label_source": "source"} if labelled and topic else {}
            self.rows.append(
                {"template_id": None, "group_id": f"g{number}", "priority": 0, "iteration": 0} | row | columns
            )
            self.topics.append(DIRECTION[topic])
        return self

    def vectors(self) -> NDArray[np.float32]:
        random = np.random.default_rng(0)
        found = random.normal(0, 0.25, (len(self.topics), 8))
        for row, topic in enumerate(self.topics):
            found[row, topic] += 1
        return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)

    def frame(self) -> pl.DataFrame:
        return pl.DataFrame(self.rows, infer_schema_length=None)

    def prompts(self) -> pl.DataFrame:
        schema = tables.empty("prompts").schema
        frame = self.frame()
        return frame.select(
            (pl.col(name) if name in frame.columns else pl.lit(None)).cast(dtype).alias(name)
            for name, dtype in schema.items()
        )

    def labelled(
        self, settings: recipe.Labels = SETTINGS, earlier: NDArray[np.bool_] | None = None
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        frame, prompts = self.frame(), self.prompts()
        embedded, groups = frame.select("prompt_id", "template_id"), frame.select("prompt_id", "group_id")
        made = infer_labels(prompts, embedded.cast(pl.String), self.vectors(), groups, settings, SEAS, earlier)
        assert made.prompts.select("prompt_id", "text").equals(prompts.select("prompt_id", "text"))
        return tables.cast("prompts", made.prompts), tables.cast(
            "metrics", made.metrics.with_columns(version=pl.lit("v0"))
        )


def known() -> World:
    """80 labelled rows of each of two risk categories from each of two sources."""
    world = World()
    for source in ("one", "two"):
        world.add(80, CRIME, source).add(80, HEALTH, source)
    return world


def figure(metrics: pl.DataFrame, name: str, **facets: str) -> dict[str, float]:
    text = json.dumps(facets, sort_keys=True)
    return metrics.filter(name=name, facets=text).row(0, named=True)


def test_an_inferred_type_has_its_axis_source_and_probability() -> None:
    prompts, _ = known().add(20, HEALTH, "three", labelled=False).labelled()
    new = prompts.filter(source="three")
    given = new.filter(label_source="classifier")
    assert given.height >= 15
    assert given.select("type", "risk_category", "difficulty").unique().rows() == [(HEALTH, HEALTH, "Easy")]
    assert given["attack_style"].null_count() == given.height
    assert given["label_probability"].is_between(SETTINGS.min_probability, 1).all()
    rest = new.filter(pl.col("label_source").is_null())
    assert rest["type"].null_count() == rest["label_probability"].null_count() == rest.height


def test_labelled_rows_do_not_change() -> None:
    world = known().add(5, HEALTH, "three", labelled=False)
    before, (after, _) = world.prompts(), world.labelled()
    assert after.filter(label_source="source").equals(tables.cast("prompts", before).filter(label_source="source"))


def test_a_row_below_the_minimum_probability_stays_unlabelled() -> None:
    prompts, _ = known().add(20, None, "three").labelled(recipe.Labels(min_rows=30, min_probability=0.9))
    assert prompts.filter(source="three")["type"].null_count() == 20


@pytest.mark.parametrize(
    "columns",
    [
        {"template_id": "t"},
        {"role": "holdout"},
        {"kind": "harmless"},
        {"label_source": "manual:ada"},
    ],
    ids=["wrapped", "holdout", "harmless", "a person said it has none"],
)
def test_rows_that_are_never_labelled(columns: dict[str, object]) -> None:
    prompts, _ = known().add(10, HEALTH, "three", labelled=False, **columns).labelled()
    assert prompts.filter(source="three")["type"].null_count() == 10


def test_a_row_without_a_vector_stays_unlabelled() -> None:
    world = known().add(10, HEALTH, "three", labelled=False)
    frame = world.frame()
    seen = frame["source"] != "three"
    embedded = frame.filter(seen).select("prompt_id", "template_id").cast(pl.String)
    groups = frame.select("prompt_id", "group_id")
    made = infer_labels(world.prompts(), embedded, world.vectors()[seen.to_numpy()], groups, SETTINGS, SEAS)
    assert made.prompts.equals(world.prompts())


def test_predictions_in_blocks_are_those_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    world = known().add(10, HEALTH, "three", labelled=False)
    prompts, metrics = world.labelled()
    monkeypatch.setattr(labels, "_ROWS_PER_BLOCK", 3)
    in_blocks, measured = world.labelled()
    assert in_blocks.equals(prompts) and measured.equals(metrics)
    assert prompts.filter(source="three")["type"].null_count() < 10


def test_earlier_rows_are_used_for_learning_but_not_relabelled() -> None:
    world = known().add(10, HEALTH, "three", labelled=False).add(10, HEALTH, "four", labelled=False)
    sources = world.prompts()["source"].to_numpy()
    prompts, _ = world.labelled(earlier=sources != "four")
    assert prompts.filter(source="three")["type"].null_count() == 10
    assert prompts.filter(source="four")["type"].null_count() < 5


def test_an_unlabelled_attack_gets_no_easy_type() -> None:
    unwarned, _ = known().add(20, STYLE, "three", labelled=False).labelled()
    assert unwarned.filter(source="three")["type"].drop_nulls().unique().to_list() == [CRIME]
    prompts, metrics = known().add(60, STYLE, "one").add(20, STYLE, "three", labelled=False).labelled()
    assert prompts.filter(source="three")["type"].null_count() >= 18
    assert set(prompts.filter(label_source="classifier")["type"]) <= {CRIME, HEALTH}
    attacks = figure(metrics, "label_confusion", true="none", predicted="none", validation="group")
    assert attacks["value"] > 0.9 and attacks["n"] == 60


def test_wrapped_rows_are_not_used_for_learning() -> None:
    world = known().add(60, STYLE, "one", template_id="t").add(20, STYLE, "three", labelled=False)
    _, metrics = world.labelled()
    assert metrics.filter(pl.col("facets").str.contains('"true": "none"')).is_empty()


def test_a_type_with_few_rows_is_not_assigned() -> None:
    world = known().add(29, PRIVACY, "one").add(20, PRIVACY, "three", labelled=False)
    prompts, _ = world.labelled()
    assert prompts.filter(source="three")["type"].null_count() == 20
    prompts, _ = world.add(1, PRIVACY, "one").labelled()
    assert prompts.filter(source="three")["type"].drop_nulls().unique().to_list() == [PRIVACY]


def test_only_labels_of_sources_and_people_are_used_for_learning() -> None:
    guessed = World()
    for source, who in (("one", "classifier"), ("two", "judge:x")):
        guessed.add(80, CRIME, source, label_source=who).add(80, HEALTH, source, label_source=who)
    prompts, metrics = guessed.add(10, HEALTH, "three", labelled=False).labelled()
    assert prompts.filter(source="three")["type"].null_count() == 10 and metrics.is_empty()
    by_hand = World().add(80, CRIME, "one", label_source="manual:ada").add(80, HEALTH, "one", label_source="manual:ada")
    prompts, _ = by_hand.add(10, HEALTH, "three", labelled=False).labelled()
    assert prompts.filter(source="three")["type"].null_count() < 5


def test_nothing_is_inferred_without_two_classes_or_when_disabled() -> None:
    for world, settings in [
        (World(), SETTINGS),
        (World().add(10, CRIME, "three", labelled=False), SETTINGS),
        (World().add(80, CRIME, "one").add(10, CRIME, "three", labelled=False), SETTINGS),
        (known().add(10, CRIME, "three", labelled=False), recipe.Labels(infer=False)),
    ]:
        if not world.rows:
            world.add(1, None, "one", kind="harmless")
        prompts, metrics = world.labelled(settings)
        assert metrics.is_empty() and prompts.filter(label_source="classifier").is_empty()


def test_metrics_of_separable_data() -> None:
    _, metrics = known().labelled()
    every = figure(metrics, "label_accuracy", rows="all", validation="group")
    assert every["value"] > 0.95 and every["n"] == 320
    assert every["low"] < every["value"] < every["high"] or every["value"] == every["high"] == 1
    assert figure(metrics, "label_macro_f1", rows="all", validation="group")["value"] > 0.95
    covered = figure(metrics, "label_coverage", validation="group")
    given = figure(metrics, "label_accuracy", rows="given", validation="group")
    assert given["n"] == round(covered["value"] * 320)
    assert figure(metrics, "label_accuracy", rows="given", source="two", validation="source")["value"] > 0.9
    shares = metrics.filter(name="label_confusion").with_columns(true=pl.col("facets").str.json_path_match("$.true"))
    assert shares.group_by("true").agg(pl.col("value").sum())["value"].to_list() == pytest.approx([1, 1])


def test_near_duplicates_of_one_group_are_in_one_fold() -> None:
    """Labels that follow nothing but a row's twin: told apart only by looking at the twin."""
    random = np.random.default_rng(0)
    world = World()
    for pair in range(80):
        world.add(2, random.choice([CRIME, HEALTH]), "one", group_id=f"pair{pair}")
    direction = np.repeat(random.normal(size=(80, 256)), 2, axis=0) + random.normal(0, 0.01, (160, 256))
    vectors = (direction / np.linalg.norm(direction, axis=1, keepdims=True)).astype(np.float32)
    frame = world.frame()
    embedded = frame.select("prompt_id", "template_id").cast(pl.String)

    def accuracy(groups: pl.DataFrame) -> float:
        metrics = infer_labels(world.prompts(), embedded, vectors, groups, SETTINGS, SEAS).metrics
        return figure(metrics, "label_accuracy", rows="all", validation="group")["value"]

    assert accuracy(frame.select("prompt_id", "group_id")) < 0.65
    assert accuracy(frame.select("prompt_id", "group_id").head(0)) > 0.75


def test_leaving_sources_out_reveals_disagreeing_sources() -> None:
    """Source "two" calls crime what "one" calls health: by group it looks learnable, by source it is not."""
    world = known()
    swapped = {CRIME: HEALTH, HEALTH: CRIME}
    for row in world.rows:
        if row["source"] == "two":
            row["type"] = row["risk_category"] = swapped[str(row["type"])]
    _, metrics = world.labelled(recipe.Labels(min_rows=30, min_probability=0.5))
    assert figure(metrics, "label_accuracy", rows="given", validation="source")["value"] < 0.1
    assert figure(metrics, "label_accuracy", rows="all", validation="group")["value"] > 0.3


def test_the_order_of_the_rows_changes_nothing() -> None:
    world = known().add(20, HEALTH, "three", labelled=False).add(20, None, "three")
    frame, prompts, vectors = world.frame(), world.prompts(), world.vectors()
    embedded, groups = frame.select("prompt_id", "template_id").cast(pl.String), frame.select("prompt_id", "group_id")
    made = infer_labels(prompts, embedded, vectors, groups, SETTINGS, SEAS)
    mixed = np.random.default_rng(4).permutation(prompts.height)
    other = infer_labels(prompts[mixed], embedded[mixed[::-1]], vectors[mixed[::-1]], groups[mixed], SETTINGS, SEAS)
    assert other.prompts.equals(made.prompts[mixed]) and other.metrics.equals(made.metrics)
