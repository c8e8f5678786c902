"""What a build has to work on: the rows and the human decisions that the parent version does not know yet."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from seas_data import sources, tables
from seas_data.curate.outcome import build_decisions, empty_decisions
from seas_data.errors import SeasDataError
from seas_data.recipe import Recipe
from seas_data.sources import overrides
from seas_data.store import takedown as forgotten
from seas_data.store.takedown import Forgotten
from seas_data.store.version import Version
from seas_data.tables.taxonomy import KINDS, RISK_CATEGORIES, type_of


@dataclass(frozen=True)
class Earlier:
    """What the parent version holds and this one keeps: its rows, and where the kept ones stand. Empty without one."""

    prompts: pl.DataFrame
    kept: pl.DataFrame
    set_aside: pl.DataFrame
    manual: pl.DataFrame
    templates: pl.DataFrame
    wrappers: pl.DataFrame
    splits: pl.DataFrame
    clusters: pl.DataFrame
    forgotten: Forgotten


@dataclass(frozen=True)
class Incoming:
    """What is new.

    ``prompts`` and ``set_aside``: rows of the recipe's sources that the parent version does not hold. ``decisions``,
    ``relabels``: what people said that is not in the ledger yet (``decisions`` without a version). ``forced``,
    ``forbidden``: every prompt that people keep and drop, as ``wishes`` gives them.
    """

    prompts: pl.DataFrame
    set_aside: pl.DataFrame
    decisions: pl.DataFrame
    relabels: pl.DataFrame
    forced: pl.Series
    forbidden: pl.Series

    def is_empty(self) -> bool:
        """Return whether there is nothing to build a version from."""
        return not any(frame.height for frame in (self.prompts, self.set_aside, self.decisions, self.relabels))

    def digest(self) -> str:
        """Return a SHA-256 over all of it."""
        hasher = hashlib.sha256()
        for frame in (self.prompts, self.set_aside, self.decisions, self.relabels):
            hasher.update(json.dumps(frame.rows(), ensure_ascii=True, default=str).encode())
        for ids in (self.forced, self.forbidden):
            hasher.update(json.dumps(ids.to_list()).encode())
        return hasher.hexdigest()


def earlier(parent: Version | None) -> Earlier:
    """Read what ``parent`` holds."""
    if parent is None:
        names = ("prompts", "set_aside", "templates", "wrappers", "splits", "clusters")
        return Earlier(
            forgotten=forgotten.nothing(),
            kept=tables.empty("prompts"),
            manual=tables.empty("decisions"),
            **{name: tables.empty(name) for name in names},
        )
    return Earlier(
        prompts=parent.table("prompts"),
        kept=parent.table("kept"),
        set_aside=parent.table("set_aside"),
        manual=parent.table("decisions").filter(pl.col("reason") == "manual"),
        templates=parent.table("templates"),
        wrappers=parent.table("wrappers"),
        splits=parent.table("splits"),
        clusters=parent.table("clusters"),
        forgotten=forgotten.known(parent),
    )


def read(recipe: Recipe, known: Earlier) -> Incoming:
    """Read the recipe's sources and overrides, less what ``known`` has of them.

    Raises SeasDataError when a source or the overrides cannot be read, or an override names a prompt there is not.
    """
    longest = max(sources.MAX_CHARACTERS, recipe.curation.limits.max_characters)
    found = [sources.read_source(name, source, max_characters=longest) for name, source in recipe.sources.items()]
    prompts = pl.concat([tables.empty("prompts"), *(each.prompts for each in found)])
    set_aside = pl.concat([tables.empty("set_aside"), *(each.set_aside for each in found)])
    new = prompts.join(known.prompts, on="prompt_id", how="anti").sort("prompt_id")
    new, refused = forgotten.refuse(new, known.forgotten)
    bad = pl.concat([set_aside, refused]).join(known.set_aside, on=["source", "row_digest", "reason"], how="anti")
    said = overrides.read_overrides(Path(recipe.overrides)) if recipe.overrides else overrides.empty_overrides()
    strangers = said.join(pl.concat([known.prompts, new]), on="prompt_id", how="anti")
    if strangers.height:
        raise SeasDataError(
            f"{recipe.overrides} names the prompt {strangers['prompt_id'][0]}, which no source of the recipe holds "
            f"({strangers.height} such rows); take ids from: seas-data review, or seas-data why TEXT"
        )
    relabelled = _relabelled(known.prompts, said)
    written = _newest(known.manual).select("prompt_id", "decision", "detail")
    forced, forbidden = wishes(known.manual, said)
    return Incoming(
        prompts=pl.concat(
            [new.join(said.drop_nulls("label"), on="prompt_id", how="anti"), _relabelled(new, said)]
        ).sort("prompt_id"),
        set_aside=bad.sort("source", "location", "reason"),
        decisions=_ledger(said).join(written, on=["prompt_id", "decision", "detail"], how="anti"),
        # A label that a person confirms is a relabel too: it was a judge's or a classifier's, and is now theirs.
        relabels=relabelled.join(known.prompts, on=["prompt_id", *tables.LABELS], how="anti", nulls_equal=True).join(
            said.select("prompt_id", "because"), on="prompt_id"
        ),
        forced=forced,
        forbidden=forbidden,
    )


def wishes(manual: pl.DataFrame, said: pl.DataFrame | None = None) -> tuple[pl.Series, pl.Series]:
    """Return ids of the prompts that people keep, and of those that they drop, by the newest word on each.

    ``manual``: prompt_id, version, decision of the ledger; ``said``: prompt_id, decision of what is newer than it.
    """
    columns = ("prompt_id", "decision")
    later = (overrides.empty_overrides() if said is None else said).select(columns).drop_nulls("decision")
    newest = _newest(manual).filter(pl.col("decision") != "flag").select(columns)
    words = pl.concat([later, newest.join(later, on="prompt_id", how="anti")])
    kept, dropped = (words.filter(decision=word)["prompt_id"].sort() for word in ("keep", "drop"))
    return kept, dropped


def _newest(manual: pl.DataFrame) -> pl.DataFrame:
    """Return of what people said the newest keep or drop of each prompt, and its newest label."""
    number = pl.col("version").str.slice(1).cast(pl.Int64)
    return manual.sort(number, descending=True).unique(
        ["prompt_id", pl.col("decision") == "flag"], keep="first", maintain_order=True
    )


def _relabelled(prompts: pl.DataFrame, said: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of ``prompts`` to which people gave a label, with that label."""
    rows = []
    labels = said.drop_nulls("label").select("prompt_id", "label", "who")
    for row in prompts.join(labels, on="prompt_id", maintain_order="left").iter_rows(named=True):
        label, who = row.pop("label"), row.pop("who")
        if label in KINDS:
            row["kind"] = label
        else:
            row["risk_category" if label in RISK_CATEGORIES else "attack_style"] = label
            if label in RISK_CATEGORIES:
                row["attack_style"] = None
            row["kind"] = "adversarial"
        if row["kind"] != "adversarial":
            row["risk_category"] = row["attack_style"] = None
        row["type"], row["difficulty"] = type_of(row["risk_category"], row["attack_style"])
        rows.append({**row, "label_source": f"manual:{who}", "label_probability": None})
    return pl.DataFrame(rows, schema=prompts.schema)


def _ledger(said: pl.DataFrame) -> pl.DataFrame:
    """Return what people said as decisions: a keep or drop as that, a label as a flag."""
    because = pl.format("{}: {}", "who", "because")
    chosen = [
        build_decisions(
            said.filter(pl.col("decision") == word).with_columns(detail=because).drop("decision"),
            step="overrides",
            decision=word,
            reason="manual",
        )
        for word in ("keep", "drop")
    ]
    labels = (
        said.drop_nulls("label").with_columns(detail=pl.format("label {} by {}", "label", because)).drop("decision")
    )
    return pl.concat(
        [empty_decisions(), *chosen, build_decisions(labels, step="overrides", decision="flag", reason="manual")]
    )
