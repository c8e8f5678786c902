"""The steps of curation in their order, and what passes between them. Each step is a pure function in ``curate/``.

All of a build's training prompts go the same way: those that an earlier version kept are a frozen reference, which
later rows are compared with and which no step drops, relabels or moves. (Contamination alone may drop them, for a new
holdout set must not be in what models are trained on, and stricter limits: but not what a person keeps.) Holdout
prompts only take part in contamination.
"""

from pathlib import Path

import polars as pl

from seas_data import tables
from seas_data.curate.contamination import drop_contaminated
from seas_data.curate.dedup.edges import find_edges, is_duplicate, restrict_to_kept
from seas_data.curate.dedup.items import collect_items, flag_not_embeddable
from seas_data.curate.dedup.select import select
from seas_data.curate.incoming import Earlier, Incoming
from seas_data.curate.label_conflicts import resolve_label_conflicts
from seas_data.curate.labels import Labelled, infer_labels
from seas_data.curate.outcome import Outcome, empty_decisions
from seas_data.curate.payload_vectors import PayloadVectors, cluster_new_prompts, select_payload_vectors
from seas_data.curate.split.assign import assign_splits
from seas_data.curate.split.bridges import find_bridges
from seas_data.curate.split.crossings import find_crossings
from seas_data.curate.split.groups import build_groups
from seas_data.curate.templates.detect import detect_templates
from seas_data.curate.templates.request_ids import assign_request_ids
from seas_data.curate.validity import drop_invalid
from seas_data.errors import SeasDataError
from seas_data.metrics.rows import metric_frame, metric_row
from seas_data.recipe import Recipe
from seas_data.recipe import Templates as TemplateSettings
from seas_data.similarity import embeddings
from seas_data.store.stages import Stages

Frames = dict[str, pl.DataFrame]


def curate(recipe: Recipe, new: Incoming, known: Earlier, stages: Stages, vector_folder: Path) -> Frames:
    """Return the rows that this version adds to each table; a column ``version`` is for the caller to fill.

    Raises SeasDataError if anything that the split must keep apart would cross it.
    """
    settings = recipe.curation
    written = known.prompts["prompt_id"]
    # Only who is kept anew comes back: an older keep is followed already, or was of a row that bridges the split.
    anew = new.decisions.filter(decision="keep")["prompt_id"]
    back = known.prompts.filter(_in(anew)).join(known.kept, on="prompt_id", how="anti")
    prompts = pl.concat([known.kept, back, new.prompts]).filter(~_in(new.forbidden)).sort("prompt_id")
    ledger = [new.decisions]

    prompts = _spared(drop_invalid(prompts, settings.limits), prompts, new.forced, ledger)
    with stages.timed("embed", prompts.height):
        whole = embeddings.embed_texts(prompts.select("text", "language"), recipe.embedders, vector_folder)
    clean = stages.run(
        "contamination",
        prompts.height,
        lambda: vars(drop_contaminated(prompts, whole, settings.contamination)),
    )
    known_flags = (
        (pl.col("decision") == "flag") & _in(known.kept["prompt_id"]) & _in(known.kept["prompt_id"], "witness_id")
    )
    clean["decisions"] = clean["decisions"].filter(~known_flags)
    prompts = _spared(Outcome(**clean), prompts, new.forced, ledger)
    holdout = prompts.filter(pl.col("role") == "holdout")
    training = prompts.filter(pl.col("role") == "training")
    earlier = training.join(known.kept, on="prompt_id", how="semi")["prompt_id"]
    frozen = known.splits.join(training, on="prompt_id", how="semi")

    found = stages.run("templates", training.height, lambda: _templates(training, known, settings.templates))
    compared = collect_items(training, found["templates"], earlier)
    with stages.timed("embed items", compared.items.height):
        embedded = embeddings.embed_texts(compared.items, recipe.embedders, vector_folder)
    if recipe.embedders:
        ledger.append(flag_not_embeddable(training, compared, embedded, earlier))
    alike = stages.run("edges", compared.items.height, lambda: vars(find_edges(compared, embedded, settings)))
    with stages.timed("requests", training.height):
        alike_requests = alike["requests"].filter(is_duplicate(settings))
        asked = assign_request_ids(
            training, found["templates"], alike_requests, known.templates.select("prompt_id", "request_id")
        )
        templates = found["templates"].join(asked, on="prompt_id", how="full", coalesce=True).sort("prompt_id")
    with stages.timed("select", training.height):
        barred = find_bridges(training, alike["duplicates"], templates, settings, frozen) if frozen.height else None
        chosen = select(
            training, alike["duplicates"], templates, settings, earlier=earlier, manual_keeps=new.forced, bridges=barred
        )
        resolved = resolve_label_conflicts(training, chosen.kept, earlier)
        ledger += [chosen.decisions, resolved.decisions]
    kept = resolved.kept
    standing = restrict_to_kept(alike["duplicates"], training, kept)

    asking = select_payload_vectors(kept, compared, embedded, templates)
    members, reports = build_groups(kept, standing, templates, settings, frozen)
    seen = asking.rows.height
    labelled = stages.run("labels", seen, lambda: vars(_labels(kept, asking, members, earlier, recipe)))
    kept = labelled["prompts"]
    map_ = stages.run(
        "clusters", seen, lambda: {"clusters": cluster_new_prompts(asking, known.clusters, settings.clusters)}
    )
    with stages.timed("split", kept.height):
        whole_set = pl.concat([kept, holdout])
        splits = assign_splits(whole_set, members, settings, frozen)
        _require_apart(find_crossings(whole_set, splits, standing, templates, settings))

    fresh = pl.concat([new.prompts.join(kept, on="prompt_id", how="anti"), kept.filter(~_in(written))])
    places = {
        "templates": templates.join(known.templates, on="prompt_id", how="anti"),
        "splits": splits.join(known.splits, on="prompt_id", how="anti"),
        "clusters": map_["clusters"].join(known.clusters, on="prompt_id", how="anti"),
    }
    return {
        "prompts": fresh.sort("prompt_id"),
        "set_aside": new.set_aside,
        "decisions": _versionless("decisions", pl.concat([each.select(empty_decisions().columns) for each in ledger])),
        "relabels": _versionless("relabels", new.relabels),
        **places,
        "wrappers": found["wrappers"].join(known.wrappers, on="template_id", how="anti"),
        "embeddings": asking.embeddings(places["splits"]),
        "metrics": _versionless("metrics", pl.concat([labelled["metrics"], _oversized(reports)])),
    }


def _templates(training: pl.DataFrame, known: Earlier, settings: TemplateSettings) -> Frames:
    """Return the templates of all training prompts: the earlier ones' as they are stored, and the later ones'."""
    later = training.join(known.kept, on="prompt_id", how="anti", maintain_order="left")
    stored = known.templates.join(training, on="prompt_id", how="semi").drop_nulls("template_id")
    found = detect_templates(later, settings, known.wrappers)
    columns = ("prompt_id", "template_id", "payload")
    both = pl.concat([stored.select(columns), found.templates.select(columns)]).sort("prompt_id")
    return {"templates": both, "wrappers": found.wrappers}


def _labels(
    kept: pl.DataFrame, asking: PayloadVectors, groups: pl.DataFrame, earlier: pl.Series, recipe: Recipe
) -> Labelled:
    rows, matrix = asking.of_main_model()
    before = kept["prompt_id"].is_in(earlier.implode()).to_numpy()
    return infer_labels(kept, rows.select("prompt_id", "template_id"), matrix, groups, recipe.curation.labels, before)


def _spared(outcome: Outcome, before: pl.DataFrame, forced: pl.Series, ledger: list[pl.DataFrame]) -> pl.DataFrame:
    """Note the step's decisions and return what it keeps; what people said to keep stays, whatever the step says."""
    spared = pl.col("prompt_id").is_in(forced.implode())
    ledger.append(outcome.decisions.filter(~(spared & (pl.col("decision") == "drop"))))
    return before.filter(pl.col("prompt_id").is_in(outcome.kept["prompt_id"].implode()) | spared)


def _in(ids: pl.Series, column: str = "prompt_id") -> pl.Expr:
    return pl.col(column).is_in(ids.implode())


def _versionless(table: str, frame: pl.DataFrame) -> pl.DataFrame:
    columns = tables.TABLES[table].column_names()
    return frame.with_columns(version=pl.lit("")).select(columns).sort(columns)


def _oversized(reports: pl.DataFrame) -> pl.DataFrame:
    """Return the components that were too large for one side as metrics: how many groups each was cut into."""
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


def _require_apart(crossing: pl.DataFrame) -> None:
    if crossing.height:
        first = crossing.row(0, named=True)
        raise SeasDataError(
            f"{crossing.height} pairs cross the split, such as {first['prompt_id']} ({first['split']}) and "
            f"{first['neighbour_id']} ({first['neighbour_split']}, {first['reason']}); no version was made. If an "
            "override keeps one of them, take it back; otherwise this is a fault of seas-data: please report it"
        )
