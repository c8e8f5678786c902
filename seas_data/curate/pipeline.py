"""Curation pipeline: run the steps in order and collect the new rows of each table.

All training prompts of a build pass through the same steps. Rows that an earlier version kept are a frozen reference:
new rows are compared with them, and no step drops, relabels or moves them. There are two exceptions: contamination
may drop them, because a new holdout set must not be in the training data, and so may stricter limits, but neither drops
a row that a person keeps. Holdout prompts take part in contamination only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import polars as pl

from seas_data import tables
from seas_data.curate.contamination import compared_texts, find_contaminated
from seas_data.curate.dedup.edges import find_edges, is_duplicate, restrict_to_kept
from seas_data.curate.dedup.items import Items, collect_items, flag_not_embeddable
from seas_data.curate.dedup.select import select
from seas_data.curate.disguise import flag_disguised
from seas_data.curate.incoming import Earlier, Incoming
from seas_data.curate.label_conflicts import resolve_label_conflicts
from seas_data.curate.labels import infer_labels
from seas_data.curate.outcome import empty_decisions, without
from seas_data.curate.payload_vectors import (
    EmbeddingRows,
    PayloadVectors,
    cluster_new_prompts,
    select_payload_vectors,
)
from seas_data.curate.prompt_rows import LABEL_COLUMNS, PromptRows
from seas_data.curate.split.assign import assign_splits
from seas_data.curate.split.bridges import find_bridges
from seas_data.curate.split.crossings import find_crossings
from seas_data.curate.split.groups import build_groups
from seas_data.curate.templates.detect import detect_templates
from seas_data.curate.templates.request_ids import assign_request_ids
from seas_data.curate.turns import as_compared
from seas_data.curate.validity import find_invalid
from seas_data.errors import SeasDataError
from seas_data.folding import leak_digests
from seas_data.metrics.rows import metric_frame, metric_row
from seas_data.recipe import Clusters as ClusterSettings
from seas_data.recipe import Curation, Recipe
from seas_data.recipe import Templates as TemplateSettings
from seas_data.similarity import embeddings
from seas_data.similarity.embeddings import Embedded
from seas_data.store import files
from seas_data.store.parts import Parts
from seas_data.store.stages import Stages

Frames = dict[str, pl.DataFrame]
_COMPARED_COLUMNS = (
    *("prompt_id", "text", "messages", "text_digest", "leak_digest"),
    *("role", "kind", "attack_style", "language"),
)
"""Columns of ``prompts`` by which rows are compared."""
_CHOICE_COLUMNS = ("prompt_id", "source", "role", "priority", *LABEL_COLUMNS)
"""Columns by which duplicates are chosen; they are read when the texts are no longer needed."""
_KEPT_COLUMNS = ("prompt_id", "text_digest", "source", "role", *LABEL_COLUMNS)
"""Columns that steps after the selection use."""


@dataclass(frozen=True)
class Curated:
    """The rows that a version adds to each table; the caller fills the column ``version``.

    ``frames``: ``set_aside``, ``decisions``, ``relabels``, ``templates``, ``splits``, ``clusters``, ``wrappers``,
    ``metrics``, and unchanged ``responses``, ``verdicts``, ``checkpoints`` of sources. ``prompts`` and ``embeddings``:
    those of the tables of these names.
    """

    prompts: PromptRows
    frames: Frames
    embeddings: EmbeddingRows

    def read(self) -> Frames:
        """Return the rows of all tables."""
        return {"prompts": self.prompts.to_frame(), **self.frames, "embeddings": self.embeddings.to_frame()}


def curate(recipe: Recipe, incoming: Incoming, earlier: Earlier, stages: Stages, vector_folder: Path) -> Curated:
    """Return the rows that this version adds to each table.

    Raises SeasDataError if rows that must stay together would be on different sides of the split.
    """
    settings = recipe.curation
    # Only new keeps restore a dropped row: older ones were applied in their version, or refused as a bridge.
    new_keeps = incoming.decisions.filter(decision="keep")["prompt_id"]
    restored = earlier.prompts.filter(_is_in(new_keeps)).join(earlier.kept, on="prompt_id", how="anti")
    older = pl.concat([earlier.kept, restored])
    if older.height:  # an older version may have folded otherwise, or not at all
        older = older.with_columns(leak_digests(older))
    prompts = without(_read_all(incoming, older, _COMPARED_COLUMNS), incoming.manual_drops)
    decisions = [incoming.decisions]

    prompts = _apply(find_invalid(prompts, settings.limits), prompts, incoming.manual_keeps, decisions)
    prompts = as_compared(prompts)
    contaminated = _find_contaminated(prompts, recipe, stages, vector_folder)
    flagged_before = (
        (pl.col("decision") == "flag")
        & _is_in(earlier.kept["prompt_id"])
        & _is_in(earlier.kept["prompt_id"], "witness_id")
    )
    prompts = _apply(contaminated.filter(~flagged_before), prompts, incoming.manual_keeps, decisions)
    holdout = prompts.filter(pl.col("role") == "holdout").select("prompt_id", "text_digest")
    training = prompts.filter(pl.col("role") == "training")
    del prompts  # at ten million rows every frame counts
    earlier_ids = training.join(earlier.kept, on="prompt_id", how="semi")["prompt_id"]
    frozen_splits = earlier.splits.join(training, on="prompt_id", how="semi")

    detected = stages.run("templates", training.height, partial(_detect, training, earlier, settings.templates))
    items = collect_items(training, detected["templates"], earlier_ids)
    hidden = flag_disguised(training, earlier_ids)
    decisions.append(hidden)
    training = training.select("prompt_id", "text_digest", "system_digest", "language")  # no later step reads texts
    with stages.timed("embed items", items.items.height):
        embedded_items = embeddings.embed_texts(items.items, recipe.embedders, vector_folder, stages.parts.engine)
        across = embeddings.embed_across(
            items.items, embedded_items, recipe.embedders, vector_folder, stages.parts.engine
        )
    if recipe.embedders:
        decisions.append(flag_not_embeddable(training, items, embedded_items, earlier_ids))
    compare = partial(_find_edges, items, embedded_items, settings, stages.parts, across)
    edges = stages.run("edges", items.items.height, compare)
    vectors = select_payload_vectors(training, items, embedded_items, detected["templates"])
    texts = stages.folder / "texts.parquet"
    if vectors.rows.height:
        files.put_aside(texts, items.items.select("text"))  # gigabytes, and only clusters need them again
    del items, embedded_items, across, compare
    choice = _read_all(incoming, older, _CHOICE_COLUMNS)
    training = training.join(choice, on="prompt_id", how="left", maintain_order="left")
    holdout = holdout.join(choice, on="prompt_id", how="left", maintain_order="left").select(_KEPT_COLUMNS)
    del choice
    with stages.timed("requests", training.height):
        request_pairs = edges["requests"].filter(is_duplicate(settings))
        request_ids = assign_request_ids(
            training, detected["templates"], request_pairs, earlier.templates.select("prompt_id", "request_id")
        )
        templates = detected["templates"].join(request_ids, on="prompt_id", how="full", coalesce=True)
        templates = templates.sort("prompt_id")
    with stages.timed("select", training.height):
        bridges = None
        if frozen_splits.height:
            bridges = find_bridges(training, edges["duplicates"], templates, settings, frozen_splits)
        selected = select(
            training,
            edges["duplicates"],
            templates,
            settings,
            earlier=earlier_ids,
            manual_keeps=incoming.manual_keeps,
            bridges=bridges,
            disguised=hidden.filter(reason="disguised")["prompt_id"] if settings.drop_disguised else None,
        )
        resolved = resolve_label_conflicts(training, selected.kept, earlier_ids)
        decisions += [selected.decisions, resolved.decisions]
    kept = resolved.kept.select(_KEPT_COLUMNS)
    kept_edges = restrict_to_kept(edges["duplicates"], training, kept)
    del training, selected, resolved
    vectors = vectors.of(kept)
    groups, cut_components = build_groups(kept, kept_edges, templates, settings, frozen_splits)
    labelled = stages.run("labels", vectors.rows.height, partial(_infer, kept, vectors, groups, earlier_ids, recipe))
    kept = labelled["prompts"]
    cluster = partial(_cluster, vectors, texts, earlier.clusters, settings.clusters)
    clustered = stages.run("clusters", vectors.rows.height, cluster)
    with stages.timed("split", kept.height):
        kept_and_holdout = pl.concat([kept, holdout])
        splits = assign_splits(kept_and_holdout, groups, settings, frozen_splits)
        _require_no_crossing(find_crossings(kept_and_holdout, splits, kept_edges, templates, settings))

    new_splits = splits.join(earlier.splits, on="prompt_id", how="anti")
    cuts = _measure_cuts(cut_components)
    frames = {
        "set_aside": incoming.set_aside,
        **incoming.answers.frames(),
        "decisions": _versionless(
            "decisions", pl.concat([each.select(empty_decisions().columns) for each in decisions])
        ),
        "relabels": _versionless("relabels", incoming.relabels),
        "templates": templates.join(earlier.templates, on="prompt_id", how="anti"),
        "splits": new_splits,
        "clusters": clustered["clusters"].join(earlier.clusters, on="prompt_id", how="anti"),
        "wrappers": detected["wrappers"].join(earlier.wrappers, on="template_id", how="anti"),
        "metrics": _versionless("metrics", pl.concat([labelled["metrics"], edges["metrics"], cuts])),
    }
    prompt_rows = PromptRows(incoming, kept.select("prompt_id", *LABEL_COLUMNS))
    return Curated(prompt_rows, frames, vectors.embeddings(new_splits))


def _read_all(incoming: Incoming, older: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Return ``columns`` of the older and the new prompts, sorted by ``prompt_id``."""
    new = incoming.read_prompts(columns)
    return pl.concat([older.select(columns), new]).sort("prompt_id") if older.height else new


def _find_contaminated(prompts: pl.DataFrame, recipe: Recipe, stages: Stages, vector_folder: Path) -> pl.DataFrame:
    """Return the decisions on training prompts that are too similar to holdout prompts."""
    embedded, across = None, []
    with stages.timed("embed", prompts.height):
        if prompts["role"].n_unique() > 1:
            texts = compared_texts(prompts).select("text", "language")
            embedded = embeddings.embed_texts(texts, recipe.embedders, vector_folder, stages.parts.engine)
            across = embeddings.embed_across(texts, embedded, recipe.embedders, vector_folder, stages.parts.engine)
        else:  # nothing is compared here
            embeddings.require_models(prompts["language"], recipe.embedders)
    compare = partial(find_contaminated, prompts, embedded, recipe.curation.contamination, across)
    return stages.run("contamination", prompts.height, lambda: {"decisions": compare()})["decisions"]


def _detect(training: pl.DataFrame, earlier: Earlier, settings: TemplateSettings) -> Frames:
    """Return the templates of all training prompts: stored ones of earlier rows, detected ones of new rows.

    A row that a person restores is an earlier row if its template is stored.
    """
    stored = earlier.templates.join(training, on="prompt_id", how="semi").drop_nulls("template_id")
    new = training.select("prompt_id", "text").join(earlier.kept, on="prompt_id", how="anti", maintain_order="left")
    new = new.join(stored, on="prompt_id", how="anti", maintain_order="left")
    detected = detect_templates(new, settings, earlier.wrappers)
    columns = ("prompt_id", "template_id", "payload")
    both = pl.concat([stored.select(columns), detected.templates.select(columns)]).sort("prompt_id")
    return {"templates": both, "wrappers": detected.wrappers}


def _find_edges(items: Items, embedded: Embedded, settings: Curation, parts: Parts, across: list[Embedded]) -> Frames:
    return vars(find_edges(items, embedded, settings, parts, across))


def _infer(
    kept: pl.DataFrame, vectors: PayloadVectors, groups: pl.DataFrame, earlier_ids: pl.Series, recipe: Recipe
) -> Frames:
    rows, matrix = vectors.of_main_model()
    is_earlier = kept["prompt_id"].is_in(earlier_ids.implode()).to_numpy()
    settings = recipe.curation.labels
    of_template = rows.select("prompt_id", "template_id")
    return vars(infer_labels(kept, of_template, matrix, groups, settings, recipe.taxonomy, is_earlier))


def _cluster(vectors: PayloadVectors, texts: Path, earlier: pl.DataFrame, settings: ClusterSettings) -> Frames:
    of_items = pl.read_parquet(texts, glob=False)["text"] if vectors.rows.height else pl.Series(dtype=pl.String)
    return {"clusters": cluster_new_prompts(vectors, of_items, earlier, settings)}


def _apply(
    made: pl.DataFrame, prompts: pl.DataFrame, manual_keeps: pl.Series, decisions: list[pl.DataFrame]
) -> pl.DataFrame:
    """Append the decisions ``made`` by a step and return the rows it keeps, and any row that a person keeps."""
    applied = made.filter(~(_is_in(manual_keeps) & (pl.col("decision") == "drop")))
    decisions.append(applied)
    return without(prompts, applied.filter(decision="drop")["prompt_id"])


def _is_in(ids: pl.Series, column: str = "prompt_id") -> pl.Expr:
    return pl.col(column).is_in(ids.implode())


def _versionless(table: str, frame: pl.DataFrame) -> pl.DataFrame:
    columns = tables.TABLES[table].column_names()
    return frame.with_columns(version=pl.lit("")).select(columns).sort(columns)


def _measure_cuts(reports: pl.DataFrame) -> pl.DataFrame:
    """Return the components that were too large for one side as metrics: the number of groups each was cut into."""
    return metric_frame(
        [
            metric_row(
                "component_cut",
                float(row["groups"]),
                {"group_id": row["group_id"], "largest": row["largest"]},
                n=row["rows"],
            )
            for row in reports.iter_rows(named=True)
        ]
    )


def _require_no_crossing(crossing: pl.DataFrame) -> None:
    if crossing.height:
        first = crossing.row(0, named=True)
        raise SeasDataError(
            f"{crossing.height} pairs cross the split, such as {first['prompt_id']} ({first['split']}) and "
            f"{first['neighbour_id']} ({first['neighbour_split']}, {first['reason']}), so no version was committed; "
            "if an override keeps one of them, remove it, otherwise please report this as a bug in seas-data"
        )
