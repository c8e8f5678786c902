"""Run the judges of a recipe over responses or prompts.

Several judges may judge the same rows; each verdict is a row. Equal pairs of prompt and response are judged once. A
response without a text is not judged. A verdict that does not parse or was cut off is ``unparsed``: neither safe nor
unsafe, counted separately and excluded from every rate.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import dataframely as dy
import polars as pl

from seas_data import tables
from seas_data.conversation import optional_columns
from seas_data.errors import SeasDataError
from seas_data.judges import chat, panel, refusal, rules, run_guard
from seas_data.judges.frames import ONLY_ATTACKS, VERDICT_COLUMNS, not_judged
from seas_data.judges.guards import GUARDS, Subject, load_guard
from seas_data.judges.settings import judge_settings
from seas_data.models.control_tokens import NEUTRALISED
from seas_data.models.protocol import Generator
from seas_data.recipe import (
    Judge,
    JudgeChat,
    JudgeGuard,
    JudgePanel,
    JudgeRefusal,
    JudgeRules,
    ModelHttp,
    ModelInProcess,
)
from seas_data.tables import schema
from seas_data.text import content_id


def check(judges: Sequence[Judge], models: Mapping[str, ModelInProcess | ModelHttp]) -> None:
    """Check that every judge can judge, before anything is run.

    Raises SeasDataError if two judges have the same name, a judge's model is not one of ``models`` or cannot run it, or
    its options or expressions are invalid.
    """
    labels = [judge.label for judge in judges]
    if duplicate := next((label for label in labels if labels.count(label) > 1), None):
        raise SeasDataError(f"two judges have the name {duplicate}; give one of them another name")
    for judge in judges:
        if isinstance(judge, JudgeRules):
            rules.check(judge)
            continue
        if isinstance(judge, JudgePanel):
            _check_panel(judge, judges)
            continue
        if judge.model not in models:
            raise SeasDataError(
                f"the judge {judge.label} uses the model {judge.model}, which is not in models; choose one of: "
                f"{', '.join(models) or '(none)'}"
            )
        if isinstance(judge, JudgeGuard):
            run_guard.check(judge, models[judge.model])
            if judge.only_prompts and not judges_prompts(judge):
                raise SeasDataError(f"the judge {judge.label} judges only responses; remove its key only_prompts")
            continue
        require_generation(f"the judge {judge.label}", judge.model, models[judge.model])
        if isinstance(judge, JudgeChat):
            chat.check(judge)


def require_generation(user: str, name: str, model: ModelInProcess | ModelHttp) -> None:
    """Raise SeasDataError if the model ``name``, which ``user`` needs answers from, only moderates."""
    if isinstance(model, ModelHttp) and model.endpoint == "moderations":
        raise SeasDataError(
            f"{user} uses the model {name}, whose endpoint: moderations generates nothing; name another model"
        )


def _check_panel(judge: JudgePanel, judges: Sequence[Judge]) -> None:
    able = [each.label for each in judges if gives_verdicts(each) and not isinstance(each, JudgePanel)]
    if missing := [name for name in judge.members if name not in able]:
        raise SeasDataError(
            f"the panel {judge.label} has the member {missing[0]}, which is no judge of verdicts; choose from: "
            f"{', '.join(able) or '(none)'}"
        )
    of_prompts = [each.label for each in judges if each.label in judge.members and judges_only_prompts(each, judges)]
    if of_prompts and len(of_prompts) < len(judge.members):
        raise SeasDataError(
            f"the panel {judge.label} has the member {of_prompts[0]}, which judges only prompts, beside judges of "
            "responses; move it to a panel of judges with only_prompts"
        )


def gives_verdicts(judge: Judge) -> bool:
    """Return whether the judge says which responses (or prompts) are unsafe."""
    if isinstance(judge, JudgeRules):
        return judge.unsafe is not None or bool(judge.categories)
    return not isinstance(judge, JudgeRefusal)


def named_categories(judge: Judge) -> list[str]:
    """Return the categories that the recipe names for the judge; none for judges that have their own."""
    return list(judge.categories) if isinstance(judge, JudgeRules | JudgeChat) else []


def classifies_refusals(judge: Judge) -> bool:
    """Return whether the judge says which responses are refusals.

    Raises SeasDataError if the judge's guard cannot be loaded.
    """
    if isinstance(judge, JudgeGuard):
        return load_guard(judge).classifies_refusals and not judge.only_prompts
    if isinstance(judge, JudgeChat):
        return bool(judge.refusals)
    if isinstance(judge, JudgePanel):
        return False
    return judge.refusal is not None if isinstance(judge, JudgeRules) else True


def judges_prompts(judge: Judge) -> bool:
    """Return whether the judge can judge a prompt without a response.

    Raises SeasDataError if the judge's guard cannot be loaded.
    """
    return load_guard(judge).judges_prompts if isinstance(judge, JudgeGuard) else not isinstance(judge, JudgeRefusal)


def judges_only_prompts(judge: Judge, judges: Sequence[Judge]) -> bool:
    """Return whether the judge, one of ``judges``, judges no responses. Nor does a panel whose members judge none."""
    if isinstance(judge, JudgePanel):
        members = [each for each in judges if each.label in judge.members and not isinstance(each, JudgePanel)]
        return all(judges_only_prompts(each, judges) for each in members)
    return not isinstance(judge, JudgeRefusal) and judge.only_prompts


def describe_subjects(judge: Judge, judges: Sequence[Judge]) -> str:
    """Return what the judge, one of ``judges``, judges: responses, prompts, or both."""
    if judges_only_prompts(judge, judges):
        return "prompts"
    return "responses, prompts" if gives_verdicts(judge) and judges_prompts(judge) else "responses"


def select_for_responses(judges: Sequence[Judge]) -> list[Judge]:
    """Return the judges that judge responses. Raises SeasDataError if there are judges, and none of them does."""
    chosen = [judge for judge in judges if not judges_only_prompts(judge, judges)]
    if judges and not chosen:
        names = ", ".join(judge.label for judge in judges)
        raise SeasDataError(f"no judge judges responses, because all have only_prompts ({names}); add another judge")
    return chosen


def judges_only_attacks(judge: Judge) -> bool:
    """Return whether the judge cannot judge responses to harmless and general prompts."""
    return isinstance(judge, JudgeGuard) and load_guard(judge).only_attacks is not None


def needs_goal(judge: Judge, judges: Sequence[Judge]) -> bool:
    """Return whether the judge, one of ``judges``, judges only responses to prompts that have a goal.

    So does a panel without enough other members to say both safe and unsafe.
    """
    if isinstance(judge, JudgeGuard):
        return load_guard(judge).needs_goal
    if not isinstance(judge, JudgePanel):
        return False
    members = [each for each in judges if each.label in judge.members and not isinstance(each, JudgePanel)]
    able = [each.label for each in members if not needs_goal(each, judges)]
    weights = {name: judge.weights.get(name, 1.0) for name in judge.members}
    decide = judge.rule == "majority" and sum(weights[name] for name in able) > sum(weights.values()) / 2
    return not decide and len(able) < (judge.min_parsed or len(judge.members))


def describe_refusal_judges() -> str:
    """Return the judges that can classify refusals, for messages."""
    guards = [name for name, each in GUARDS.all().items() if each.classifies_refusals]
    return ", ".join(
        [
            "by: refusal",
            "by: rules with refusal",
            "by: chat with refusals",
            *(f"by: guard with guard: {name}" for name in guards),
        ]
    )


def select_with_members(judges: Sequence[Judge], name: str) -> list[Judge]:
    """Return the judge ``name``; of a panel also its members, which vote first."""
    chosen = [judge for judge in judges if judge.label == name]
    members = {member for judge in chosen if isinstance(judge, JudgePanel) for member in judge.members}
    return [*(judge for judge in judges if judge.label in members), *chosen]


def add_panels(verdicts: pl.DataFrame, judges: Sequence[Judge]) -> pl.DataFrame:
    """Return ``verdicts`` and those of the panels among ``judges``. The first column is the id of what was judged."""
    panels = [panel.judge_rows(verdicts, judge) for judge in judges if isinstance(judge, JudgePanel)]
    return pl.concat([verdicts, *(rows.select(verdicts.columns).cast(verdicts.schema) for rows in panels)])


def judge_responses(
    prompts: pl.DataFrame,
    responses: pl.DataFrame,
    judges: Sequence[Judge],
    generators: Mapping[str, Generator],
    folder: Path,
) -> dy.DataFrame[schema.Verdicts]:
    """Return the verdicts of ``judges`` on ``responses``.

    Judges that judge only prompts are skipped.

    Args:
        prompts: at least the prompts of the responses.
        responses: the responses to judge; those with a null text are not judged.
        judges: judges with different names.
        generators: the open models that the judges name.
        folder: the generation cache, so that a killed run resumes.

    Input columns: ``prompt_id``, ``text`` and optionally ``messages``, ``goal`` and ``kind`` of prompts;
    ``response_id``, ``prompt_id`` and ``text`` of responses.
    Output columns: those of the table ``verdicts``, sorted by response and judge.

    Raises SeasDataError if a response's prompt is missing or a judge answers no request.
    """
    rows = responses.filter(pl.col("text").is_not_null()).join(
        prompts.select("prompt_id", *optional_columns(prompts), prompt="text"), on="prompt_id", how="left"
    )
    if missing := rows["prompt"].null_count():
        raise SeasDataError(f"the prompts of {missing} responses are missing; pass all prompts that were answered")
    rows = rows.select("messages", "goal", "kind", id="response_id", prompt="prompt", response="text")
    able = [judge for judge in judges if not judges_only_prompts(judge, judges)]
    verdicts = _judge_all(rows, able, generators, folder, "response").rename({"id": "response_id"})
    return tables.cast("verdicts", add_panels(verdicts, able).sort("response_id", "judge"))


def judge_prompts(
    prompts: pl.DataFrame, judges: Sequence[Judge], generators: Mapping[str, Generator], folder: Path
) -> pl.DataFrame:
    """Return the verdicts of ``judges`` on prompts alone: whether the request itself is harmful.

    Judges that judge only responses are skipped.

    Input columns: ``prompt_id``, ``text``; optional ``messages``, ``goal`` and ``kind``.
    Output columns: ``prompt_id``, ``judge``, ``verdict``, ``categories``, ``score`` and ``raw``, sorted by prompt and
    judge.

    Raises SeasDataError if a judge answers no request.
    """
    rows = prompts.select(*optional_columns(prompts), id="prompt_id", prompt="text", response=pl.lit(None, pl.String))
    able = [judge for judge in judges if judges_prompts(judge)]
    verdicts = add_panels(_judge_all(rows, able, generators, folder, "prompt").rename({"id": "prompt_id"}), able)
    verdicts = verdicts.drop("refusal", "detail", "settings_id")
    return verdicts.filter(pl.col("verdict").is_not_null()).sort("prompt_id", "judge")


def count_classes(verdicts: pl.DataFrame, judges: Sequence[Judge]) -> pl.DataFrame:
    """Return how many responses each judge put into each class; those it could not classify are ``unparsed``.

    Input columns: ``judge``, ``verdict``, ``refusal``, ``detail``.
    Output columns: ``judge``, ``measure`` (verdict, refusal: what a judge does not give has no rows), ``class`` and
    ``rows``; every class of a measure has a row. ``not judged`` counts the rows that a judge of goals skipped, if there
    are any, and the measure ``control tokens`` those whose texts were ``neutralised``.
    """
    rows = []
    for judge in select_for_responses(judges):
        measures: dict[str, tuple[str, ...]] = {}
        if gives_verdicts(judge):
            measures["verdict"] = ("safe", "unsafe", "unparsed")
        if classifies_refusals(judge):
            measures["refusal"] = (*refusal.CLASSES, "unparsed")
        own = verdicts.filter(pl.col("judge") == judge.label)
        for measure, classes in measures.items():
            none = "not judged" if measure == "verdict" else "unparsed"
            counts = dict(own.group_by(pl.col(measure).fill_null(none)).len().rows())
            listed = (*classes, "not judged") if "not judged" in counts else classes
            rows += [(judge.label, measure, name, counts.get(name, 0)) for name in listed]
        if neutralised := int(own["detail"].str.contains(NEUTRALISED, literal=True).sum()):
            rows.append((judge.label, "control tokens", "neutralised", neutralised))
    return pl.DataFrame(rows, ["judge", "measure", "class", "rows"], orient="row")


def _judge_all(
    rows: pl.DataFrame, judges: Sequence[Judge], generators: Mapping[str, Generator], folder: Path, subject: Subject
) -> pl.DataFrame:
    """Return id, judge, ``VERDICT_COLUMNS`` and settings_id for each judge and row; equal rows are judged once.

    Input columns: ``id``, ``prompt``, ``messages``, ``goal``, ``kind``, ``response``. Equal prompts have equal turns.
    """
    keys = [
        content_id("judged", prompt, response, *([] if goal is None else [goal]))
        for prompt, response, goal in rows.select("prompt", "response", "goal").iter_rows()
    ]
    rows = rows.with_columns(request_id=pl.Series(keys, dtype=pl.String))
    is_attack = (pl.col("kind") == "adversarial").fill_null(value=True)
    columns = {"id": pl.String(), "judge": pl.String(), **VERDICT_COLUMNS, "settings_id": pl.String()}
    found = [pl.DataFrame(schema=columns)]
    for judge in judges:
        if isinstance(judge, JudgePanel):
            continue
        judged = rows.filter(is_attack) if judges_only_attacks(judge) else rows
        unique = judged.unique("request_id", keep="first", maintain_order=True).sort("request_id")
        verdicts = _judge(unique, judge, generators, folder, subject)
        joined = judged.join(verdicts, on="request_id", how="left", maintain_order="left")
        others = rows.join(judged, on="id", how="anti", maintain_order="left")
        skipped = others.select("id", **not_judged(others, ONLY_ATTACKS).select(*VERDICT_COLUMNS).to_dict())
        settings = judge_settings(judge, None if judge.model is None else generators[judge.model])
        settings_id = pl.lit(settings["settings_id"].first(), pl.String)
        common = {"judge": pl.lit(judge.label), "settings_id": settings_id}
        found += [part.with_columns(**common).select(*columns) for part in (joined, skipped)]
    return pl.concat(found)


def _judge(
    rows: pl.DataFrame,
    judge: JudgeGuard | JudgeRules | JudgeRefusal | JudgeChat,
    generators: Mapping[str, Generator],
    folder: Path,
    subject: Subject,
) -> pl.DataFrame:
    """Return request_id and ``VERDICT_COLUMNS`` of ``rows`` by the judge's kind.

    Input columns: ``request_id``, ``prompt``, ``messages``, ``goal``, ``response``.
    """
    if rows.is_empty():
        return not_judged(rows, "")
    if isinstance(judge, JudgeRules):
        return rules.judge_rows(rows, judge, subject)
    if isinstance(judge, JudgeGuard):
        return run_guard.judge_rows(rows, judge, generators[judge.model], folder, subject)
    if isinstance(judge, JudgeChat):
        return chat.judge_rows(rows, judge, generators[judge.model], folder)
    return refusal.judge_rows(rows, judge, generators[judge.model], folder)
