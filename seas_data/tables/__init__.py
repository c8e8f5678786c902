"""The schema of every table: one class a table, one line a column.

Rows never change and decisions are rows: a version holds each of these tables as append-only Parquet shards. Ids are
``text.content_id`` hashes. ``cast`` puts a frame into its table's columns, order and types, and says what does not fit.
"""

from collections.abc import Sequence
from pathlib import Path

import dataframely as dy
import dataframely.exc
import polars as pl

from seas_data.errors import SeasDataError
from seas_data.tables.taxonomy import ATTACK_STYLES, DIFFICULTIES, KINDS, RISK_CATEGORIES, SPLITS, TYPES

REASONS = (
    "exact_duplicate",
    "near_duplicate",
    "semantic_duplicate",
    "contaminated",
    "template_cap",
    "contrast_pair",
    "label_conflict",
    "not_embeddable",
    "split_bridge",
    "manual",
    "unreviewed",  # a harmless prompt by a judge's word alone
    "too_long",
    "too_short",
    "invalid",
)
PAIR_ROLES = ("red", "target", "harmless", "general")
UNPAIRED_REASONS = (
    "held_out",  # the prompt, its text or an example of its seed belongs to test, harmless or holdout
    "failed",  # no text came back
    "unjudged",
    "empty",
    "repeated",  # the same text came before, of the same input
    "too_long",
    "unparsed",
    "too_few_verdicts",
    "contradictory",  # one text, judged safe here and unsafe there
    "no_safe",
    "no_unsafe",
    "no_compliance",
    "no_refusal",
    "unsafe",  # a full answer to a harmless prompt, judged unsafe
    "not_full",  # MART: safe, yet no full answer
    "no_success",  # MART: an attack that failed too often
    "reward",
    "alone",  # nothing else of the seed to compare with
    "margin",
    "other_type",
    "length_ratio",
    "near_duplicate",
    "outranked",  # the pairs of its seed or prompt were better
    "cap",
    "balance",
)
LABELS = ("kind", "risk_category", "attack_style", "type", "difficulty", "label_source")
"""The columns of a prompt's label, which a person may change: those of ``relabels``."""
ATTACK_REASONS = ("failed", "empty", "cut_off", "repeats_example", "repeated")
SET_ASIDE_REASONS = ("unreadable", "undecodable", "empty", "too_long", "unknown_kind", "repeated", "forgotten")


def _one_of(*values: str, nullable: bool = False) -> dy.String:
    return dy.String(nullable=nullable, check=lambda column: column.is_in(list(values)))


def _text(*, nullable: bool = False, primary_key: bool = False) -> dy.String:
    return dy.String(nullable=nullable, primary_key=primary_key)


class Prompts(dy.Schema):
    """Every prompt of the version, kept or not, as it came from its source."""

    prompt_id = _text(primary_key=True)
    text = _text(nullable=True)  # null of a holdout prompt alone, in a release that does not pass it on
    text_digest = _text()
    kind = _one_of(*KINDS)
    risk_category = _one_of(*RISK_CATEGORIES, nullable=True)
    attack_style = _one_of(*ATTACK_STYLES, nullable=True)
    type = _one_of(*TYPES, nullable=True)
    difficulty = _one_of(*DIFFICULTIES, nullable=True)
    label_source = _text(nullable=True)  # source | classifier | manual:WHO | judge:NAME
    label_probability = dy.Float64(nullable=True)  # of the classifier's label
    source = _text()
    source_risk = _text(nullable=True)  # the set's own label on the risk axis, unmapped
    source_style = _text(nullable=True)  # and on the style axis
    role = _one_of("training", "holdout")
    priority = dy.Int32()  # of the source: lower is kept first
    repository = _text(nullable=True)
    source_id = _text()
    licence = _text(nullable=True)
    language = _text(nullable=True)
    iteration = dy.Int32()
    seed_id = _text(nullable=True)
    model = _text(nullable=True)

    @dy.rule()
    def text_is_there(cls) -> pl.Expr:  # noqa: N805
        """Only a holdout prompt may come without its text."""
        return pl.col("text").is_not_null() | (pl.col("role") == "holdout")


class SetAside(dy.Schema):
    """A row of a source that could not become a prompt, and why. Its text is not kept: its digest is."""

    source = _text()
    location = _text()  # file:line
    reason = _one_of(*SET_ASIDE_REASONS)
    detail = _text(nullable=True)
    row_digest = _text()


class Decisions(dy.Schema):
    """The ledger: one row for each drop, flag and manual keep."""

    prompt_id = _text()
    version = _text()
    step = _text()
    decision = _one_of("keep", "drop", "flag")
    reason = _one_of(*REASONS)
    witness_id = _text(nullable=True)
    score = dy.Float64(nullable=True)
    threshold = dy.Float64(nullable=True)
    detail = _text(nullable=True)


class Relabels(dy.Schema):
    """A label that a person changed after the row was written; the ``prompts`` view shows the newest."""

    prompt_id = _text()
    version = _text()
    kind = _one_of(*KINDS)
    risk_category = _one_of(*RISK_CATEGORIES, nullable=True)
    attack_style = _one_of(*ATTACK_STYLES, nullable=True)
    type = _one_of(*TYPES, nullable=True)
    difficulty = _one_of(*DIFFICULTIES, nullable=True)
    label_source = _text()
    because = _text()


class Templates(dy.Schema):
    """Wrapped prompts and the part of them that changes; plain prompts that share a request have no template."""

    prompt_id = _text(primary_key=True)
    template_id = _text(nullable=True)
    payload = _text(nullable=True)
    request_id = _text(nullable=True)


class Wrappers(dy.Schema):
    """The fixed text of each template, in the order in which its parts stand; the payload fills the gaps."""

    template_id = _text(primary_key=True)
    segments = dy.List(dy.String())


class Splits(dy.Schema):
    """Where each kept prompt went. A group never crosses a split; a holdout prompt is a group of its own."""

    prompt_id = _text(primary_key=True)
    split = _one_of(*SPLITS)
    group_id = _text()


class Clusters(dy.Schema):
    """What each embedded prompt is about, and where it lies on the map."""

    prompt_id = _text(primary_key=True)
    cluster = dy.Int32()
    label = _text()  # the cluster's distinguishing terms
    x = dy.Float32()
    y = dy.Float32()


class Embeddings(dy.Schema):
    """The unit vector by which a prompt is clustered and searched: of its payload if it is wrapped, else of it all."""

    prompt_id = _text(primary_key=True)
    model = _text()
    vector = dy.List(dy.Float32())


class Metrics(dy.Schema):
    """A figure, its 95 % interval, what it counts, and the facets it holds for (a JSON object)."""

    name = _text()
    version = _text()
    value = dy.Float64(nullable=True)
    low = dy.Float64(nullable=True)
    high = dy.Float64(nullable=True)
    n = dy.Int64(nullable=True)
    facets = _text()


class Seeds(dy.Schema):
    """What a red-team model is shown: k prompts of one type, in the words in which it is asked for another."""

    seed_id = _text(primary_key=True)
    iteration = dy.Int32()  # an evaluation seed serves all of them and is of iteration 0
    type = _one_of(*TYPES, nullable=True)
    example_ids = dy.List(dy.String())
    text = _text()
    split = _one_of("train", "test", nullable=True)  # of its examples; from test for evaluation alone


class Attacks(dy.Schema):
    """Every prompt that a red team wrote. Those of ``train`` that worked are among the prompts too, by the same id."""

    prompt_id = _text(primary_key=True)
    seed_id = _text()
    iteration = dy.Int32()  # in which it was written; for evaluation, that of the red team
    split = _one_of("train", "test")  # of its seed
    model = _text()
    number = dy.Int32()  # 0 to n - 1 of the seed
    text = _text()
    finish_reason = _text(nullable=True)
    tokens = dy.Int32(nullable=True)
    settings_id = _text(nullable=True)
    reason = _one_of(*ATTACK_REASONS, nullable=True)  # why no target was asked it


class Responses(dy.Schema):
    """What a model answered to a prompt. A request that failed is a row without a text."""

    response_id = _text(primary_key=True)
    prompt_id = _text()
    model = _text()
    sample_number = dy.Int32(alias="sample")  # 0 to m - 1 of the prompt; the schema has a method of that name
    text = _text(nullable=True)
    finish_reason = _text(nullable=True)
    tokens = dy.Int32(nullable=True)
    settings_id = _text(nullable=True)


class Settings(dy.Schema):
    """How a model wrote: which checkpoint, and how it was sampled (a JSON object)."""

    settings_id = _text(primary_key=True)
    model = _text()
    checkpoint = _text()  # its digest
    sampling = _text()


class Checkpoints(dy.Schema):
    """The models: what each was made from, how, and the SHA-256 of its files."""

    model = _text(primary_key=True)  # R0, T0, R1 ...
    role = _one_of("red", "target")
    iteration = dy.Int32()
    digest = _text()
    parent = _text(nullable=True)
    method = _one_of("given", "sft", "dpo", "unchanged")
    rows = dy.Int64()  # that it was trained on
    statement = _text(nullable=True)  # why it is unchanged


class Expected(dy.Schema):
    """The words that a right answer to a prompt holds, where its set gives them."""

    prompt_id = _text(primary_key=True)
    answer = _text()


class Verdicts(dy.Schema):
    """What a judge said of a response. ``unparsed`` is neither safe nor unsafe and is left out of every rate."""

    response_id = _text(primary_key=True)
    judge = _text(primary_key=True)
    verdict = _one_of("safe", "unsafe", "unparsed", nullable=True)  # null: this judge classes refusals alone
    categories = dy.List(dy.String(), nullable=True)
    score = dy.Float64(nullable=True)  # the probability of unsafe, 0 to 1
    refusal = _one_of("full_compliance", "full_refusal", "partial_refusal", nullable=True)
    raw = _text(nullable=True)


def _messages() -> dy.List:
    return dy.List(dy.Struct({"role": dy.String(), "content": dy.String()}))


class Pairs(dy.Schema):
    """Preference pairs as TRL reads them. Of role red both ids are prompts', else responses'."""

    pair_id = _text(primary_key=True)
    role = _one_of(*PAIR_ROLES)
    iteration = dy.Int32()
    prompt = _messages()
    chosen = _messages()
    rejected = _messages()
    chosen_id = _text()
    rejected_id = _text()
    margin = dy.Float64(nullable=True)  # red: of the unsafe rates; target: of the scores, where there are any
    type = _one_of(*TYPES, nullable=True)
    prompt_id = _text(nullable=True)
    seed_id = _text(nullable=True)
    judge = _text(nullable=True)
    source = _text(nullable=True)  # of a general pair: the set it came from


class Demonstrations(dy.Schema):
    """Rows of supervised fine-tuning, as TRL reads them: what a model should say to a prompt."""

    demonstration_id = _text(primary_key=True)
    role = _one_of(*PAIR_ROLES)
    iteration = dy.Int32()
    prompt = _messages()
    completion = _messages()
    completion_id = _text()
    type = _one_of(*TYPES, nullable=True)
    prompt_id = _text(nullable=True)
    seed_id = _text(nullable=True)
    judge = _text(nullable=True)
    source = _text(nullable=True)


class Unpaired(dy.Schema):
    """A candidate that is in no pair (red: a prompt; else a response), and the first rule that kept it out."""

    role = _one_of(*PAIR_ROLES)
    iteration = dy.Int32()
    candidate_id = _text()
    prompt_id = _text(nullable=True)
    seed_id = _text(nullable=True)
    reason = _one_of(*UNPAIRED_REASONS)


class Tombstones(dy.Schema):
    """A row that was taken out because somebody asked for it: its id, and why. Nothing of what it said."""

    prompt_id = _text(nullable=True)
    response_id = _text(nullable=True)  # of a response that was taken out by itself; one of the two ids is there
    version = _text()  # the first one without it
    because = _text()


TABLES: dict[str, type[dy.Schema]] = {
    "prompts": Prompts,
    "set_aside": SetAside,
    "decisions": Decisions,
    "relabels": Relabels,
    "templates": Templates,
    "wrappers": Wrappers,
    "splits": Splits,
    "clusters": Clusters,
    "embeddings": Embeddings,
    "metrics": Metrics,
    "seeds": Seeds,
    "attacks": Attacks,
    "responses": Responses,
    "settings": Settings,
    "checkpoints": Checkpoints,
    "expected": Expected,
    "verdicts": Verdicts,
    "pairs": Pairs,
    "demonstrations": Demonstrations,
    "unpaired": Unpaired,
    "tombstones": Tombstones,
}


def cast(table: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Return ``frame`` with exactly the columns of ``table``, in order and typed; raise SeasDataError if it cannot."""
    schema = TABLES[table]
    missing = [name for name in schema.column_names() if name not in frame.columns]
    if missing:
        raise SeasDataError(f"table {table} lacks the columns {', '.join(missing)}")
    try:
        return schema.validate(frame.select(schema.column_names()), cast=True)
    except (dataframely.exc.ValidationError, pl.exceptions.PolarsError) as problem:
        raise SeasDataError(f"table {table} does not fit its schema: {problem}") from problem


def empty(table: str) -> pl.DataFrame:
    """Return ``table`` without rows."""
    return TABLES[table].create_empty()


def read(table: str, path: Path, columns: Sequence[str]) -> pl.DataFrame:
    """Return those ``columns`` of a shard of ``table``. One that was added after it was written is null in it."""
    there = set(pl.read_parquet_schema(path))
    frame = pl.read_parquet(path, columns=[name for name in columns if name in there])
    schema = empty(table).schema
    missing = {name: pl.lit(None, dtype=schema[name]) for name in columns if name not in there}
    return frame.with_columns(**missing).select(columns)


def fits(table: str, path: Path) -> None:
    """Raise SeasDataError unless the Parquet file at ``path`` holds rows of ``table``, and no column of another."""
    if table not in TABLES:
        raise SeasDataError(f"there is no table {table}")
    schema = empty(table).schema
    try:
        there = pl.read_parquet_schema(path)
    except (OSError, pl.exceptions.PolarsError) as problem:
        raise SeasDataError(f"a file of table {table} is no Parquet file") from problem
    if unknown := [name for name in there if name not in schema]:
        raise SeasDataError(f"table {table} has no columns {', '.join(unknown)}; a newer seas-data may know them")
    if other := [name for name, kind in there.items() if kind != schema[name]]:
        raise SeasDataError(f"table {table} has other types in {', '.join(other)}")
    cast(table, read(table, path, schema.names()))
