"""The schema of every table: a class for each table, with a policy for each column.

Rows never change and decisions are rows: a version holds each of these tables as append-only Parquet shards. Ids are
``text.content_id`` hashes.

Each column states its visibility (``public``, ``gated`` or ``never``) and what it is. To add a column, add a line with
``nullable=True, may_be_missing=True``, because older shards lack it, and write it where the table's rows are made (for
``prompts``: ``sources/prompts.py`` and ``loop/joined_prompts.py``; from a column of the source: ``recipe/sources.py``
and ``sources/raw_rows.py``). Until it is declared ``public`` it is in no public file (``policy.py``).
``python docs/generate.py`` updates the docs.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import dataframely as dy
import polars as pl

from seas_data.tables.policy import Reference, Rows, Visibility, declare
from seas_data.tables.values import (
    ATTACK_REASONS,
    AXES,
    CATEGORY_PATTERN,
    DIFFICULTIES,
    INVALID_REASONS,
    KINDS,
    PAIR_ROLES,
    REASONS,
    SET_ASIDE_REASONS,
    SPLITS,
    UNPAIRED_REASONS,
)

AnyColumn = TypeVar("AnyColumn", bound=dy.Column)


def _column(
    kind: Callable[..., AnyColumn],
    visibility: Visibility,
    description: str,
    *references: Reference,
    nullable: bool = False,
    primary_key: bool = False,
    alias: str | None = None,
    check: Callable[[pl.Expr], pl.Expr] | None = None,
    **options: Any,
) -> AnyColumn:
    """Return a column; ``options`` are fields of ``policy.Policy``."""
    return kind(
        nullable=nullable,
        primary_key=primary_key,
        alias=alias,
        check=check,
        description=description,
        metadata=declare(visibility, references=references, **options),
    )


def _text(visibility: Visibility, description: str, *references: Reference, **options: Any) -> dy.String:
    """Free text, whoever wrote it."""
    return _column(dy.String, visibility, description, *references, **options)


def _id(visibility: Visibility, description: str, *references: Reference, **options: Any) -> dy.String:
    """An id, a digest, or a name that the recipe or the program gives: no free text."""
    return _column(dy.String, visibility, description, *references, free_text=False, **options)


def _one_of(visibility: Visibility, description: str, *values: str, **options: Any) -> dy.String:
    """One of a closed list of values."""
    check = lambda column: column.is_in(list(values))  # noqa: E731
    return _column(dy.String, visibility, description, check=check, free_text=False, **options)


def _category(visibility: Visibility, description: str, *references: Reference, **options: Any) -> dy.String:
    """The name of a category of the version's taxonomy."""
    check = lambda column: column.str.contains(CATEGORY_PATTERN)  # noqa: E731
    return _column(dy.String, visibility, description, *references, check=check, free_text=False, **options)


_integer = partial(_column, dy.Int32)
_count = partial(_column, dy.Int64)
_number = partial(_column, dy.Float64)
_coordinate = partial(_column, dy.Float32)
_ids = partial(_column, partial(dy.List, dy.String()), free_text=False)
_texts = partial(_column, partial(dy.List, dy.String()))
_messages = partial(_column, partial(dy.List, dy.Struct({"role": dy.String(), "content": dy.String()})))

_PROMPT = Reference(("prompts.prompt_id",))
_PROMPT_OR_ATTACK = Reference(("prompts.prompt_id", "attacks.prompt_id"))
_SEED = Reference(("seeds.seed_id",))
_CATEGORY = Reference(("taxonomy.type",))
_MODEL = Reference(("checkpoints.model",))
_SETTINGS = Reference(("settings.settings_id",))
_ANSWERED = "role in ('target', 'harmless')"
_SIDE = (
    Reference(("prompts.prompt_id", "attacks.prompt_id"), where="role = 'red'"),
    Reference(("responses.response_id",), where=_ANSWERED),
)
_ANSWERED_PROMPT = Reference(("prompts.prompt_id", "attacks.prompt_id"), where=_ANSWERED)
_RED_ROWS = Rows("role = 'red'", "only rows of role red are prompts on all sides; the others hold responses")
_NOTES = "names and notes of reviewers are not published"
_REVIEWER: dict[str, Any] = {"name_prefix": "manual:", "because": _NOTES}
_PROMPT_WORDS: dict[str, Any] = {
    "nullable": True,
    "where": "role <> 'holdout'",
    "because": "texts of holdout sets are other people's tests, and stay out of what models are trained on",
    "takedown": "row",
}


class Prompts(dy.Schema):
    """All prompts of the version, kept or dropped, as they came from their sources."""

    prompt_id = _id(
        "public", "The prompt's id, a hash of its source, its id there and its text or turns.", primary_key=True
    )
    text = _text(
        "public",
        "The prompt itself; of a conversation, the flat rendering of its turns. It is data, never an instruction.",
        **_PROMPT_WORDS,
    )
    messages = _messages(
        "public",
        "All turns of a conversation, the last one the user's; null for a prompt that is one user turn.",
        **_PROMPT_WORDS,
        may_be_missing=True,
    )
    text_digest = _id(
        "public",
        'Equal for texts that count as the same: the first 24 hex digits of the SHA-256 of the JSON ["text",TEXT] '
        "(UTF-8, without blanks). TEXT is the prompt in NFC, case-folded, its white space collapsed to single blanks.",
    )
    leak_digest = _id(
        "public",
        "Equal for texts that are the same without their disguise: as text_digest, of the folded text.",
        nullable=True,
    )
    goal = _text(
        "public",
        "The plain request, where the source keeps it apart from the text that was sent.",
        nullable=True,
        where="role <> 'holdout'",
        because="requests of holdout sets are other people's tests, and stay out of what models are trained on",
        takedown="row",
    )
    kind = _one_of(
        "public", "adversarial: an attack; harmless: looks like one and should be answered; general: neither.", *KINDS
    )
    risk_category = _category("public", "What an attack asks for: the risk axis.", _CATEGORY, nullable=True)
    attack_style = _category("public", "How an attack is put: the style axis.", _CATEGORY, nullable=True)
    type = _category("public", "One of the types of the taxonomy.", _CATEGORY, nullable=True)
    difficulty = _one_of(
        "public",
        "That of the type's axis in the taxonomy. SEAS: Hard with an attack style.",
        *DIFFICULTIES,
        nullable=True,
    )
    hazard = _category("public", "The MLCommons hazard, by the crosswalk; null where unknown.", nullable=True)
    label_source = _text(
        "public", "Who gave the label: source, classifier, judge:NAME or manual:REVIEWER.", nullable=True, **_REVIEWER
    )
    label_probability = _number("public", "The classifier's probability of its label, 0 to 1.", nullable=True)
    source = _id("public", "The source that the prompt came from.")
    source_risk = _text("public", "The source's own label on the risk axis.", nullable=True)
    source_style = _text("public", "The source's own label on the style axis.", nullable=True)
    role = _one_of("public", "training, or holdout for prompts of other people's tests.", "training", "holdout")
    priority = _integer("public", "The source's priority: of two duplicates the one with the lower number is kept.")
    repository = _id("public", "Where the source is published.", nullable=True)
    source_id = _text("public", "The row's id within its source.")
    licence = _id("public", "The source's licence, as an SPDX identifier.", nullable=True)
    language = _text("public", "The language, as an ISO 639-1 code.", nullable=True)
    iteration = _integer("public", "The iteration of the loop that added the prompt; 0 before the first.")
    seed_id = _id("public", "The seed that the red team was shown.", _SEED, nullable=True)
    model = _id("public", "The model that wrote the prompt; null for a prompt of a source.", _MODEL, nullable=True)

    @dy.rule()
    def text_is_there(cls) -> pl.Expr:  # noqa: N805
        """Only a holdout prompt may lack its text: in a release that withholds it."""
        return pl.col("text").is_not_null() | (pl.col("role") == "holdout")


class SetAside(dy.Schema):
    """Rows of sources that could not become prompts, and why. Their texts are not kept, only digests."""

    source = _id("public", "The source that the row came from.")
    location = _text("public", "File and line.")
    reason = _one_of("public", "Why the row was set aside.", *SET_ASIDE_REASONS)
    detail = _text("public", "More about the reason.", nullable=True)
    row_digest = _id("public", "The SHA-256 of the row.", row_id=True)


class Decisions(dy.Schema):
    """The ledger: one row for each drop, flag and manual keep."""

    prompt_id = _id("public", "The prompt that was decided.", _PROMPT, row_id=True)
    version = _id("public", "The version that added the decision.")
    step = _id("public", "The step of curation.")
    decision = _one_of("public", "keep, drop or flag.", "keep", "drop", "flag")
    reason = _one_of("public", "Why, from a closed list.", *REASONS)
    witness_id = _id(
        "public",
        "The prompt that the decision rests on, such as the kept duplicate.",
        Reference(("prompts.prompt_id", "tombstones.prompt_id")),
        nullable=True,
    )
    score = _number("public", "What was compared with the threshold.", nullable=True)
    threshold = _number("public", "The threshold that the score had to reach.", nullable=True)
    detail = _text(
        "public",
        "More about the reason.",
        nullable=True,
        where="reason <> 'manual'",
        because=_NOTES,
    )


class Relabels(dy.Schema):
    """Labels that people changed after the row was written; the ``prompts`` view shows the newest."""

    prompt_id = _id("public", "The prompt that was relabelled.", _PROMPT, row_id=True)
    version = _id("public", "The version that added the label.")
    kind = _one_of("public", "adversarial, harmless or general.", *KINDS)
    risk_category = _category("public", "The risk axis.", _CATEGORY, nullable=True)
    attack_style = _category("public", "The style axis.", _CATEGORY, nullable=True)
    type = _category("public", "One of the types of the taxonomy.", _CATEGORY, nullable=True)
    difficulty = _one_of("public", "Easy or Hard.", *DIFFICULTIES, nullable=True)
    label_source = _text("public", "Who gave the label: manual:REVIEWER.", **_REVIEWER)
    because = _text("gated", "The reviewer's note.", nullable=True, because=_NOTES)


class Templates(dy.Schema):
    """Wrapped prompts and the part inside the wrapper; plain prompts that share a request have no template."""

    prompt_id = _id("public", "The prompt.", _PROMPT, primary_key=True)
    template_id = _id(
        "public", "The wrapper around the prompt, if any.", Reference(("wrappers.template_id",)), nullable=True
    )
    payload = _text("public", "The part of a wrapped prompt that is not its wrapper.", nullable=True)
    request_id = _id("public", "The same for prompts that ask for the same thing.", nullable=True)


class Wrappers(dy.Schema):
    """The fixed text of each template, part by part in order; the payload fills the gaps."""

    template_id = _id("public", "The template.", primary_key=True)
    segments = _texts("public", "The fixed parts of the template, in order.")


class Splits(dy.Schema):
    """The split of each kept prompt. A group never crosses a split; a holdout prompt is a group of its own."""

    prompt_id = _id("public", "The prompt.", _PROMPT, primary_key=True)
    split = _one_of("public", "train, test, harmless (the held-out over-refusal test) or holdout.", *SPLITS)
    group_id = _id("public", "The same for prompts that are alike; a group never crosses a split.")


class Clusters(dy.Schema):
    """The topic of each embedded prompt, and its place on the map."""

    prompt_id = _id("public", "The prompt.", _PROMPT, primary_key=True)
    cluster = _integer("public", "The topic's number.")
    label = _text("public", "The topic's distinguishing terms.")
    x = _coordinate("public", "Horizontal place on the map of topics.")
    y = _coordinate("public", "Vertical place on the map of topics.")


class Embeddings(dy.Schema):
    """The unit vector by which a prompt is clustered and searched: of its payload if wrapped, else of its text (of a
    long one, the mean of its windows).
    """

    prompt_id = _id("public", "The prompt.", _PROMPT, primary_key=True)
    model = _id("public", "The embedder.")
    vector = _column(partial(dy.List, dy.Float32()), "public", "The unit vector.")


class Metrics(dy.Schema):
    """Figures with their 95 % intervals."""

    name = _id("public", "What was measured.", row_id=True)
    version = _id("public", "The version that added the figure.")
    value = _number("public", "The figure.", nullable=True)
    low = _number("public", "Lower end of the 95 % interval.", nullable=True)
    high = _number("public", "Upper end of the 95 % interval.", nullable=True)
    n = _count("public", "How many observations the figure counts.", nullable=True)
    facets = _id("public", "What the figure holds for, as a JSON object.")


class Seeds(dy.Schema):
    """What a red-team model is shown: k prompts of one type, in the words in which it is asked for another."""

    seed_id = _id("public", "The seed.", primary_key=True)
    iteration = _integer("public", "The iteration that used it; 0 for evaluation seeds, which serve all iterations.")
    type = _category("public", "The type of its examples.", _CATEGORY, nullable=True)
    example_ids = _ids("public", "The prompts that it shows.", _PROMPT)
    text = _text("public", "What the red team is asked.", takedown="row")
    split = _one_of("public", "The split of its examples; test for evaluation only.", "train", "test", nullable=True)


class Attacks(dy.Schema):
    """Every prompt that a red team wrote. Those of ``train`` that worked are among the prompts too, by the same id."""

    prompt_id = _id("public", "The attack.", primary_key=True)
    seed_id = _id("public", "The seed that the red team was shown.", _SEED)
    iteration = _integer("public", "The iteration that it was written in; for evaluation, that of the red team.")
    split = _one_of("public", "The split of its seed.", "train", "test")
    model = _id("public", "The red team that wrote it.", _MODEL)
    number = _integer("public", "The attack's number among those to the same seed, from 0.")
    text = _text("public", "The attack itself. It is data, never an instruction.", takedown="row")
    finish_reason = _text("public", "Why the model stopped.", nullable=True)
    tokens = _integer("public", "Tokens of the attack.", nullable=True)
    settings_id = _id("public", "How the model was sampled.", _SETTINGS, nullable=True)
    reason = _one_of("public", "Why no target was asked it.", *ATTACK_REASONS, nullable=True)
    invalid = _one_of(
        "public",
        "Why the attack is invalid, although a target was asked it; null if it is valid.",
        *INVALID_REASONS,
        nullable=True,
        may_be_missing=True,
    )


class Responses(dy.Schema):
    """A model's response to a prompt. A request that failed is a row without a text."""

    response_id = _id("public", "The response.", primary_key=True)
    prompt_id = _id("public", "The prompt that was asked.", _PROMPT_OR_ATTACK)
    model = _id("public", "The model that answered.", _MODEL)
    sample_number = _integer(  # the schema has a method named sample
        "public", "The response's number among those to the same prompt, from 0.", alias="sample"
    )
    text = _text(
        "gated",
        "What the model answered; null when the request failed. It may be harmful.",
        nullable=True,
        because="texts of responses may be harmful",
        takedown="row",
    )
    finish_reason = _text(
        "public",
        "Why the model stopped: stop; length: cut off; other; filter: refused by a server's filter; error: failed.",
        nullable=True,
    )
    tokens = _integer("public", "Tokens of the response.", nullable=True)
    settings_id = _id("public", "How the model was sampled.", _SETTINGS, nullable=True)
    thinking = _text(
        "gated",
        "What the model thought before it answered. It is neither judged nor in a pair.",
        nullable=True,
        because="what a model thinks may be harmful",
        may_be_missing=True,
    )
    detail = _text(
        "gated",
        "Why the request failed or was refused by a filter, or what is unusual about the reply.",
        nullable=True,
        because="a server's words may quote the prompt and name its account",
        may_be_missing=True,
    )
    source = _id(
        "public",
        "The source that brought the response; null for one that the loop asked for.",
        nullable=True,
        may_be_missing=True,
    )
    source_id = _text(
        "public",
        "The id of the attempt in that source, and the number of the answer.",
        nullable=True,
        may_be_missing=True,
    )
    location = _text(
        "public",
        "File and line, or file and record, of the response in that source.",
        nullable=True,
        may_be_missing=True,
    )


class Settings(dy.Schema):
    """How a model wrote: which checkpoint, and how it was sampled."""

    settings_id = _id("public", "The settings.", primary_key=True)
    model = _id("public", "The model.", Reference(("checkpoints.model",), where="judge is null"))
    checkpoint = _id("public", "The checkpoint's digest.")
    sampling = _text(
        "public",
        "The sampling parameters, and the model's system prompt if any, as a JSON object; of a judge also its policy, "
        "prompt and options.",
    )
    judge = _id(
        "public", "The judge whose model it is; null for a red team or target.", nullable=True, may_be_missing=True
    )


class Checkpoints(dy.Schema):
    """The models: what each was made from, how, and the SHA-256 of its files."""

    model = _id("public", "The model: R0, T0, R1, ..., or a target by its name in a log.", primary_key=True)
    role = _one_of("public", "red or target.", "red", "target")
    iteration = _integer("public", "The iteration that trained it.")
    digest = _id("public", "The SHA-256 of its files; null for a target that a log names.", nullable=True)
    parent = _id("public", "The model that it was trained from.", _MODEL, nullable=True)
    method = _one_of("public", "How it was made; logged: a log names it.", "given", "sft", "dpo", "unchanged", "logged")
    rows = _count("public", "How many rows it was trained on.")
    statement = _text("public", "Why it is unchanged.", nullable=True)


_TESTS = "right answers to test prompts are part of the tests"


class Expected(dy.Schema):
    """The words that a right answer to a prompt contains, where its source gives them."""

    prompt_id = _id("gated", "The prompt.", _PROMPT, primary_key=True, because=_TESTS)
    answer = _text("gated", "The words that a right answer contains.", because=_TESTS)


class Verdicts(dy.Schema):
    """A judge's verdict on a response. ``unparsed`` is neither safe nor unsafe and is in no rate."""

    response_id = _id("public", "The response.", Reference(("responses.response_id",)), primary_key=True)
    judge = _id("public", "The judge.", primary_key=True)
    verdict = _one_of(
        "public",
        "safe, unsafe or unparsed; null when the judge only classes refusals, or did not judge the response.",
        *("safe", "unsafe", "unparsed"),
        nullable=True,
    )
    categories = _ids("public", "The judge's categories of harm.", nullable=True)
    score = _number("public", "The probability of unsafe, 0 to 1.", nullable=True)
    refusal = _one_of(
        "public",
        "full_compliance, full_refusal or partial_refusal.",
        *("full_compliance", "full_refusal", "partial_refusal"),
        nullable=True,
    )
    raw = _text(
        "gated",
        "What the judge wrote.",
        nullable=True,
        because="what a judge wrote may quote the response",
        takedown="row",
    )
    detail = _text(
        "gated",
        "Why the verdict is unparsed (cut off, or the request failed), or what was changed in the judged texts.",
        nullable=True,
        because="a server's words may quote the prompt and name its account",
        may_be_missing=True,
    )
    settings_id = _id(
        "public",
        "How the judge's model was asked; null for rules, panels and verdicts that a source brought.",
        _SETTINGS,
        nullable=True,
        may_be_missing=True,
    )


class Pairs(dy.Schema):
    """Preference pairs as TRL reads them. The ids of a red pair are prompts, those of others are responses."""

    __public_rows__ = _RED_ROWS

    pair_id = _id("public", "The pair.", primary_key=True)
    role = _one_of("public", "What it trains: red, target, harmless or general.", *PAIR_ROLES)
    iteration = _integer("public", "The iteration that used the pair.")
    prompt = _messages("public", "What was asked, as a list of messages.", takedown="row")
    chosen = _messages("public", "The preferred side, as a list of messages.", takedown="row")
    rejected = _messages("public", "The other side, as a list of messages.", takedown="row")
    chosen_id = _id("public", "The prompt (red) or response of the preferred side.", *_SIDE)
    rejected_id = _id("public", "The prompt (red) or response of the other side.", *_SIDE)
    margin = _number("public", "How far the sides differ. red: in unsafe rates; target: in scores.", nullable=True)
    type = _category("public", "One of the types of the taxonomy.", _CATEGORY, nullable=True)
    prompt_id = _id("public", "The prompt that was asked.", _ANSWERED_PROMPT, nullable=True)
    seed_id = _id("public", "The seed of the attacks.", _SEED, nullable=True)
    judge = _id("public", "The judge whose verdicts made the pair (harmless: whose refusal classes).", nullable=True)
    source = _id("public", "The set that a general pair came from.", nullable=True)


class Demonstrations(dy.Schema):
    """Rows for supervised fine-tuning, as TRL reads them: what a model should answer to a prompt."""

    __public_rows__ = _RED_ROWS

    demonstration_id = _id("public", "The demonstration.", primary_key=True)
    role = _one_of("public", "What it trains: red, target, harmless or general.", *PAIR_ROLES)
    iteration = _integer("public", "The iteration that used the demonstration.")
    prompt = _messages("public", "What was asked, as a list of messages.", takedown="row")
    completion = _messages("public", "What should be answered, as a list of messages.", takedown="row")
    completion_id = _id("public", "The prompt (red) or response that should be written.", *_SIDE)
    type = _category("public", "One of the types of the taxonomy.", _CATEGORY, nullable=True)
    prompt_id = _id("public", "The prompt that was asked.", _ANSWERED_PROMPT, nullable=True)
    seed_id = _id("public", "The seed of the attack.", _SEED, nullable=True)
    judge = _id("public", "The judge whose verdicts chose it.", nullable=True)
    source = _id("public", "The set that it came from.", nullable=True)


class Unpaired(dy.Schema):
    """Candidates that are in no pair (red: prompts; else responses), and the first rule that kept each out."""

    role = _one_of("public", "What it would have trained: red, target, harmless or general.", *PAIR_ROLES)
    iteration = _integer("public", "The iteration.")
    candidate_id = _id("public", "The prompt (red) or response.", *_SIDE, row_id=True)
    prompt_id = _id("public", "The prompt that was asked.", nullable=True)
    seed_id = _id("public", "The seed.", nullable=True)
    reason = _one_of("public", "The first rule that kept it out.", *UNPAIRED_REASONS)


class Taxonomy(dy.Schema):
    """The categories of the version's taxonomy. A later version may add some."""

    type = _category("public", "The name of the category.", primary_key=True)
    axis = _one_of("public", "risk: what prompts ask for; style: how they are wrapped.", *AXES)
    difficulty = _one_of("public", "The difficulty of prompts of this type.", *DIFFICULTIES, nullable=True)
    position = _integer("public", "Its place among the categories, from 0.")
    description = _text("public", "What belongs to it.", nullable=True)


class Tombstones(dy.Schema):
    """Rows that were taken down: their ids, and why. Nothing of their texts."""

    prompt_id = _id("public", "The prompt; null for a response.", nullable=True, row_id=True)
    response_id = _id("public", "The response that was taken down by itself.", nullable=True, row_id=True)
    version = _id("public", "The first version without the row.")
    because = _text("public", "Why it was taken down.")


TABLES: dict[str, type[dy.Schema]] = {
    "prompts": Prompts,
    "taxonomy": Taxonomy,
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
