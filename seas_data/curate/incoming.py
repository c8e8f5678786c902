"""Input of a build: new rows of the sources and new manual decisions, compared with the parent version."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from seas_data import sources, tables
from seas_data.curate.outcome import build_decisions, empty_decisions
from seas_data.errors import SeasDataError
from seas_data.recipe import Recipe, Taxonomy
from seas_data.recipe.taxonomy import taxonomy_of
from seas_data.sources import overrides
from seas_data.sources.account import Account, SourceAccount, describe_source, require_readable
from seas_data.sources.answers import AnswerTables
from seas_data.store import files, takedown
from seas_data.store.parts import to_bytes
from seas_data.store.takedown import Takedowns
from seas_data.store.version import Version
from seas_data.tables.values import KINDS


@dataclass(frozen=True)
class Answers:
    """Answers and verdicts: the tables ``responses``, ``verdicts`` and ``checkpoints``."""

    responses: pl.DataFrame
    verdicts: pl.DataFrame
    checkpoints: pl.DataFrame

    def frames(self) -> dict[str, pl.DataFrame]:
        """Return the tables by name."""
        return {"responses": self.responses, "verdicts": self.verdicts, "checkpoints": self.checkpoints}


_ROWS_PER_PART = 10_000
ANSWER_KEYS = {"responses": ["response_id"], "verdicts": ["response_id", "judge"], "checkpoints": ["model"]}
"""The columns that identify a row of each of these tables."""


def no_answers() -> Answers:
    """Return the tables without rows."""
    return Answers(**{name: tables.empty(name) for name in ANSWER_KEYS})


@dataclass(frozen=True)
class Earlier:
    """State of the parent version that a new version extends; all frames are empty without a parent.

    Each frame is the table of that name; ``kept`` are the kept rows of ``prompts``, ``manual`` the decisions with the
    reason ``manual``, ``takedowns`` what was taken down; of ``answers`` only what identifies a row.
    """

    prompts: pl.DataFrame
    kept: pl.DataFrame
    set_aside: pl.DataFrame
    manual: pl.DataFrame
    templates: pl.DataFrame
    wrappers: pl.DataFrame
    splits: pl.DataFrame
    clusters: pl.DataFrame
    takedowns: Takedowns
    answers: Answers


@dataclass(frozen=True)
class Incoming:
    """New input of a build.

    ``prompts`` and ``set_aside``: rows of the recipe's sources that the parent version does not have. ``decisions`` and
    ``relabels``: manual decisions that are not recorded yet (``decisions`` without ``version``). ``manual_keeps`` and
    ``manual_drops``: ids of all prompts that people keep and drop, from ``manual_decisions``.
    ``account``: what became of all rows of the sources, new or not. ``answers``: answers and verdicts of the sources
    that the parent version does not have. ``stored``: the file of the prompts (``put_aside``), instead of ``prompts``.
    """

    prompts: pl.DataFrame
    set_aside: pl.DataFrame
    decisions: pl.DataFrame
    relabels: pl.DataFrame
    manual_keeps: pl.Series
    manual_drops: pl.Series
    account: Account = field(default_factory=Account)
    answers: Answers = field(default_factory=no_answers)
    stored: Path | None = None

    def put_aside(self, path: Path) -> "Incoming":
        """Return this input with ``prompts`` in a file at ``path`` instead of in memory, for ``read_prompts``.

        Of ten million rows the texts and columns that no step needs take several gigabytes.
        """
        files.put_aside(path, self.prompts)
        return replace(self, prompts=self.prompts.clear(), stored=path)

    def read_prompts(self, columns: Iterable[str] | None = None) -> pl.DataFrame:
        """Return ``columns`` (by default, all) of the new prompts, sorted by ``prompt_id``."""
        names = list(self.prompts.columns if columns is None else columns)
        if self.stored is None:
            return self.prompts.select(names).sort("prompt_id")
        pa.default_memory_pool().release_unused()  # texts that were read from a Parquet file were in it
        return pl.read_parquet(self.stored, glob=False, columns=names).select(names).set_sorted("prompt_id")

    def iter_prompts(self, n_rows: int) -> Iterator[pl.DataFrame]:
        """Yield the new prompts in slices of ``n_rows``, sorted by ``prompt_id``; without prompts there is none."""
        if self.stored is None:
            yield from (part for part in self.read_prompts().iter_slices(n_rows) if part.height)
            return
        scan = pl.scan_parquet(self.stored, glob=False).select(self.prompts.columns)
        for start in range(0, self.height, n_rows):
            yield scan.slice(start, n_rows).collect()

    @property
    def height(self) -> int:
        """The number of new prompts."""
        return self.prompts.height if self.stored is None else int(pq.read_metadata(self.stored).num_rows)

    def is_empty(self) -> bool:
        """Return whether there is nothing new to build a version from."""
        return not any(frame.height for frame in (*self._rows(), *self.answers.frames().values()))

    def _rows(self) -> tuple[pl.DataFrame, ...]:
        return self.prompts, self.set_aside, self.decisions, self.relabels

    def digest(self) -> str:
        """Return the SHA-256 of all frames that curation depends on."""
        hasher = hashlib.sha256()
        for frame in self._rows():
            hasher.update(f"{frame.height} rows".encode())
            for part in frame.iter_slices(_ROWS_PER_PART):
                hasher.update(to_bytes(part))
        for ids in (self.manual_keeps, self.manual_drops):
            hasher.update(json.dumps(ids.to_list()).encode())
        return hasher.hexdigest()


def read_earlier(parent: Version | None) -> Earlier:
    """Return the state of ``parent``."""
    if parent is None:
        names = ("prompts", "set_aside", "templates", "wrappers", "splits", "clusters")
        return Earlier(
            takedowns=takedown.no_takedowns(),
            answers=no_answers(),
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
        takedowns=takedown.load_takedowns(parent),
        answers=Answers(**{name: parent.table(name, columns) for name, columns in ANSWER_KEYS.items()}),
    )


def read_incoming(recipe: Recipe, earlier: Earlier) -> Incoming:
    """Read the recipe's sources and overrides, without the rows and decisions that ``earlier`` has.

    Raises SeasDataError if a source or the overrides cannot be read, if a source gives no prompt or has more unreadable
    rows than it may have, or if an override names an unknown prompt.
    """
    prompts, set_aside, answer_tables, accounts = _read_sources(recipe)
    new = _without_rows_of(prompts, earlier.prompts).sort("prompt_id")
    del prompts  # at ten million rows every frame counts
    new, refused = takedown.split_taken_down(new, earlier.takedowns)
    new_set_aside = pl.concat([set_aside, refused]).join(
        earlier.set_aside, on=["source", "row_digest", "reason"], how="anti"
    )
    new_overrides = (
        overrides.read_overrides(Path(recipe.overrides), recipe.taxonomy)
        if recipe.overrides
        else overrides.empty_overrides()
    )
    known = pl.concat([each.select("prompt_id") for each in (earlier.prompts, new)])
    unknown = new_overrides.join(known, on="prompt_id", how="anti")
    if unknown.height:
        raise SeasDataError(
            f"{recipe.overrides} names the prompt {unknown['prompt_id'][0]}, which is in no source of the recipe "
            f"({unknown.height} such rows); take prompt ids from `seas-data review` or `seas-data why TEXT`"
        )
    answers = _new_answers(answer_tables, known, earlier)
    relabelled = _apply_labels(earlier.prompts, new_overrides, recipe.taxonomy)
    recorded = _select_newest(earlier.manual).select("prompt_id", "decision", "detail")
    manual_keeps, manual_drops = manual_decisions(earlier.manual, new_overrides)
    labelled = _apply_labels(new, new_overrides, recipe.taxonomy)
    return Incoming(
        prompts=pl.concat([_without_rows_of(new, labelled), labelled]).sort("prompt_id") if labelled.height else new,
        set_aside=new_set_aside.sort("source", "location", "reason"),
        decisions=_as_decisions(new_overrides).join(recorded, on=["prompt_id", "decision", "detail"], how="anti"),
        # A label that a person confirms is a relabel too: its source changes from a judge or classifier to the person.
        relabels=relabelled.join(earlier.prompts, on=["prompt_id", *tables.LABELS], how="anti", nulls_equal=True).join(
            new_overrides.select("prompt_id", "because"), on="prompt_id"
        ),
        manual_keeps=manual_keeps,
        manual_drops=manual_drops,
        account=Account({name: each.without(refused.filter(source=name).height) for name, each in accounts.items()}),
        answers=answers,
    )


def _read_sources(
    recipe: Recipe,
) -> tuple[pl.DataFrame, pl.DataFrame, list[AnswerTables], dict[str, SourceAccount]]:
    """Return the prompts, the set-aside rows, the answers and the account of each source of the recipe."""
    max_characters = max(sources.MAX_CHARACTERS, recipe.curation.limits.max_characters)
    prompts, set_aside = [tables.empty("prompts")], [tables.empty("set_aside")]
    answers: list[AnswerTables] = []
    accounts = {}
    for name, source in recipe.sources.items():
        rows = sources.read_source(name, source, labelling=recipe.labelling, max_characters=max_characters)
        require_readable(name, source, rows)
        accounts[name] = describe_source(source, rows)
        prompts.append(rows.prompts)
        set_aside.append(rows.set_aside)
        answers.append(rows.answers)
    return pl.concat(prompts), pl.concat(set_aside), answers, accounts


def _without_rows_of(prompts: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    """Return ``prompts`` without those of ``others``; no copy if there are none."""
    return prompts.join(others.select("prompt_id"), on="prompt_id", how="anti") if others.height else prompts


def _new_answers(found: list[AnswerTables], prompts: pl.DataFrame, earlier: Earlier) -> Answers:
    """Return the answers to ``prompts`` that ``earlier`` does not have and that were not taken down."""
    joined = {name: pl.concat([tables.empty(name), *(getattr(each, name) for each in found)]) for name in ANSWER_KEYS}
    responses = joined["responses"].join(prompts, on="prompt_id", how="semi")
    responses = responses.filter(~pl.col("response_id").is_in(earlier.takedowns.response_ids.implode()))
    kept = {
        "responses": responses,
        "verdicts": joined["verdicts"].join(responses, on="response_id", how="semi"),
        "checkpoints": joined["checkpoints"].join(responses, on="model", how="semi").unique("model"),
    }
    known = earlier.answers.frames()
    new = {name: kept[name].join(known[name], on=key, how="anti").sort(key) for name, key in ANSWER_KEYS.items()}
    return Answers(**new)


def require_same_taxonomy(taxonomy: Taxonomy, parent: Version | None) -> None:
    """Raise SeasDataError unless every category of the parent's taxonomy is in ``taxonomy``, on the same axis."""
    if parent is None:
        return
    before = taxonomy_of(parent.manifest.recipe)
    for place, then, now in (("risk", before.risk, taxonomy.risk), ("style", before.style, taxonomy.style)):
        missing = [name for name in then.names if name not in now.names]
        if missing or (then.names and then.difficulty != now.difficulty):
            problem = f"without the category {missing[0]!r}" if missing else "with another difficulty"
            raise SeasDataError(
                f"the recipe's taxonomy {taxonomy.name} does not continue {before.name}, with which {parent.name} was "
                f"built: it is {problem} on the axis {place}; add categories only, or build into a new workspace"
            )


def new_categories(taxonomy: Taxonomy, parent: Version | None) -> pl.DataFrame:
    """Return the rows that a version after ``parent`` adds to the table ``taxonomy``."""
    earlier = tables.empty("taxonomy") if parent is None else parent.table("taxonomy")
    return taxonomy.frame().join(earlier, on="type", how="anti", maintain_order="left")


def manual_decisions(manual: pl.DataFrame, new_overrides: pl.DataFrame | None = None) -> tuple[pl.Series, pl.Series]:
    """Return the ids of the prompts that people keep and of those that they drop, by the newest decision.

    Input columns: of ``manual`` (recorded decisions): ``prompt_id``, ``version``, ``decision``; of ``new_overrides``:
    ``prompt_id``, ``decision``.
    """
    columns = ("prompt_id", "decision")
    newer = (
        (overrides.empty_overrides() if new_overrides is None else new_overrides).select(columns).drop_nulls("decision")
    )
    newest = _select_newest(manual).filter(pl.col("decision") != "flag").select(columns)
    current = pl.concat([newer, newest.join(newer, on="prompt_id", how="anti")])
    kept, dropped = (current.filter(decision=decision)["prompt_id"].sort() for decision in ("keep", "drop"))
    return kept, dropped


def _select_newest(manual: pl.DataFrame) -> pl.DataFrame:
    """Return the newest keep or drop of each prompt, and its newest label."""
    number = pl.col("version").str.slice(1).cast(pl.Int64)
    return manual.sort(number, descending=True).unique(
        ["prompt_id", pl.col("decision") == "flag"], keep="first", maintain_order=True
    )


def _apply_labels(prompts: pl.DataFrame, new_overrides: pl.DataFrame, taxonomy: Taxonomy) -> pl.DataFrame:
    """Return the rows of ``prompts`` that have a label in ``new_overrides``, with that label."""
    rows = []
    labels = new_overrides.drop_nulls("label").select("prompt_id", "label", "who")
    for row in prompts.join(labels, on="prompt_id", maintain_order="left").iter_rows(named=True):
        label, who = row.pop("label"), row.pop("who")
        if label in KINDS:
            row["kind"] = label
        else:
            row["risk_category" if label in taxonomy.risk.names else "attack_style"] = label
            if label in taxonomy.risk.names:
                row["attack_style"] = None
            row["kind"] = "adversarial"
        if row["kind"] != "adversarial":
            row["risk_category"] = row["attack_style"] = None
        row["type"], row["difficulty"] = taxonomy.type_of(row["risk_category"], row["attack_style"])
        rows.append({**row, "label_source": f"manual:{who}", "label_probability": None})
    return pl.DataFrame(rows, schema=prompts.schema)


def _as_decisions(new_overrides: pl.DataFrame) -> pl.DataFrame:
    """Return overrides as decisions: a keep or drop as such, a label as a flag."""
    reason = pl.format("{}: {}", "who", "because")
    keeps_and_drops = [
        build_decisions(
            new_overrides.filter(pl.col("decision") == decision).with_columns(detail=reason).drop("decision"),
            step="overrides",
            decision=decision,
            reason="manual",
        )
        for decision in ("keep", "drop")
    ]
    labels = (
        new_overrides.drop_nulls("label")
        .with_columns(detail=pl.format("label {} by {}", "label", reason))
        .drop("decision")
    )
    return pl.concat(
        [
            empty_decisions(),
            *keeps_and_drops,
            build_decisions(labels, step="overrides", decision="flag", reason="manual"),
        ]
    )
