"""The public functions of ``import seas_data as sd`` that take plain paths and frames.

Each does what the command of its name does and calls the same module. ``seas_data.__all__`` lists all public names.
"""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import dataframely as dy
import polars as pl

from seas_data import run, tables
from seas_data.build_version import Built
from seas_data.query.version import Version
from seas_data.recipe import Recipe, find_recipe, load
from seas_data.release.checks import CheckResult
from seas_data.release.hub.pull import PullResult
from seas_data.release.hub.push import PushRequest, PushResult
from seas_data.release.visibility import parse_profile
from seas_data.tables import schema


def build(
    recipe: Recipe | Path | str, workspace: Path | str = "workspace", engine: run.EngineName = "local"
) -> Built[Version]:
    """Build the next version of a workspace from a recipe; the newest version, if there is nothing new to build.

    Args:
        recipe: a recipe, the path of one, or the name of a recipe of the package, such as ``example``.
        workspace: the folder of the workspace; created if it does not exist.
        engine: where slow steps run: ``local`` (in this process) or ``ray`` (on a Ray cluster); the result is the same.

    Raises SeasDataError if the recipe, a source, a model or the workspace cannot be used, or a check fails. Then no
    version is made, and the next build resumes from the finished stages.
    """
    if not isinstance(recipe, Recipe):
        path = Path(recipe)
        recipe = load(path if path.suffix in (".yaml", ".yml") else find_recipe(str(recipe)))
    return run.build(recipe, Path(workspace), engine)


def check(version: Version, profile: str = "public", waivers: Mapping[str, str] | None = None) -> list[CheckResult]:
    """Return the result of every release check on ``version``: its name, whether it passed, ids of rows, a message.

    ``profile``: public or gated. ``waivers``: the reason for each check that may fail, which the card lists.
    Raises SeasDataError for an unknown profile or check.
    """
    from seas_data.release import checks

    return checks.run(version, profile, waivers=checks.require_names(dict(waivers or {})))


def card(version: Version, profile: str = "public") -> str:
    """Return the dataset card of ``version``, a README.md whose figures are all computed from the data.

    Raises SeasDataError for an unknown profile.
    """
    from seas_data.release import card as cards

    return cards.dataset_card(version, parse_profile(profile))


def checkout(version: Version, folder: Path | str, profile: str = "public") -> None:
    """Write the folder that ``push`` uploads, for ``datasets``, Polars and DuckDB. It must not exist.

    Raises SeasDataError if it does, for an unknown profile, or if a file of the version is damaged.
    """
    from seas_data.release import folder as release

    release.checkout(version, Path(folder), parse_profile(profile))


def push(
    version: Version,
    repository: str,
    *,
    tag: str | None = None,
    profile: str = "public",
    public: bool = False,
    waivers: Mapping[str, str] | None = None,
    dry_run: bool = False,
) -> PushResult:
    """Push ``version`` to a dataset repository of the Hugging Face Hub, after all checks passed.

    Args:
        version: the version to release.
        repository: its name on the Hub, such as ``org/name``; created private and gated if it does not exist.
        tag: a tag for it on the Hub.
        profile: public (without responses of models) or gated.
        public: make the repository public.
        waivers: the reason for each check that may fail.
        dry_run: return the plan and change nothing.

    Raises SeasDataError if a check fails that is not waived, or the Hub refuses.
    """
    from seas_data.release.hub import push as hub

    request = PushRequest(repository, tag=tag, public=public, waivers=waivers, dry_run=dry_run)
    return hub.push(version, request, parse_profile(profile))


def pull(name: str, workspace: Path | str) -> PullResult:
    """Pull a release (``org/name@1.2.0``, or the newest commit of ``org/name``) into a workspace and verify it.

    Raises SeasDataError if the Hub refuses, if the release is damaged, or if the workspace holds other versions.
    """
    from seas_data.release.hub import pull as hub

    return hub.pull(name, Path(workspace))


def judge(
    recipe: Recipe, prompts: pl.DataFrame, responses: pl.DataFrame, folder: Path | str | None = None
) -> dy.DataFrame[schema.Verdicts]:
    """Return the verdicts of the recipe's judges on responses.

    Args:
        recipe: names the judges and their models.
        prompts: input columns ``prompt_id``, ``text``; optional ``messages`` (role, content) of conversations,
            ``goal``, the plain request, and ``kind``.
        responses: input columns ``response_id``, ``prompt_id``, ``text``; a null text is not judged.
        folder: keeps what judges answered, so that a killed run resumes. None: a temporary folder.

    Output columns: those of the table ``verdicts``, sorted by response and judge; what could not be judged is
    ``unparsed``.

    Raises SeasDataError if a judge or its model cannot be used, or a response has no prompt.
    """
    from seas_data.judges import run as judges
    from seas_data.models import open_model
    from seas_data.recipe import require_trust

    require_trust(recipe)
    judges.check(recipe.judges, recipe.models)
    chosen = judges.select_for_responses(recipe.judges)
    verdicts: list[pl.DataFrame] = [tables.empty("verdicts")]
    with TemporaryDirectory() as temporary:
        root = Path(folder or temporary)
        for each in chosen:
            if each.model is None:
                verdicts.append(judges.judge_responses(prompts, responses, [each], {}, root))
                continue
            # One at a time: two guards may not fit into memory together.
            with open_model(each.model, recipe.models[each.model], root / "logs") as generator:
                verdicts.append(judges.judge_responses(prompts, responses, [each], {each.model: generator}, root))
    rows = judges.add_panels(pl.concat(verdicts), chosen)
    return tables.cast("verdicts", rows.sort("response_id", "judge"))


def find_near_duplicates(prompts: pl.DataFrame, threshold: float = 0.8) -> pl.DataFrame:
    """Return the pairs of prompts whose character 5-grams have a Jaccard similarity of at least ``threshold``.

    Texts are compared in their normal form (NFC, case-folded, white space collapsed); equal ones have similarity 1 and
    are paired with the first of them.

    Input columns: ``text``.
    Output columns: ``row``, ``neighbour_row`` (UInt32, positions in ``prompts``; row < neighbour_row), ``similarity``,
    sorted by both.

    Raises SeasDataError if the threshold is below 0.05.
    """
    from seas_data.similarity.near_duplicates import find_pairs
    from seas_data.text import normalise

    rows = prompts.select(pl.col("text").map_elements(normalise, pl.String)).with_row_index("row")
    first = rows.unique("text", keep="first", maintain_order=True)
    found = find_pairs(first["text"].to_list(), threshold)
    near = pl.DataFrame(
        {
            "row": first["row"].gather(found.left),
            "neighbour_row": first["row"].gather(found.right),
            "similarity": found.score,
        }
    )
    equal = rows.join(first.rename({"row": "first"}), on="text").filter(pl.col("row") != pl.col("first"))
    copies = equal.select(row="first", neighbour_row="row", similarity=pl.lit(1.0, pl.Float32))
    return pl.concat([near, copies]).sort("row", "neighbour_row")


def find_contaminated(prompts: pl.DataFrame, holdout: pl.DataFrame, threshold: float = 0.8) -> pl.DataFrame:
    """Return the prompts that quote a holdout prompt, however disguised, with the best such prompt.

    The score is the proportion of the holdout prompt's character 5-grams, weighted by rarity, that the prompt contains
    in one stretch. Folded texts are compared, so full-width letters, look-alikes and invisible characters hide nothing.

    Input columns: ``text`` of both.
    Output columns: ``row`` (position in ``prompts``), ``holdout_row`` (position in ``holdout``), ``score``; one row for
    each prompt found, sorted by ``row``.
    """
    from seas_data.folding import fold_look_alikes
    from seas_data.similarity.containment import find_quotes

    folded = [[fold_look_alikes(text) for text in frame["text"]] for frame in (holdout, prompts)]
    query, text, score = find_quotes(folded[0], folded[1], threshold)
    found = pl.DataFrame({"row": text, "holdout_row": query, "score": score})
    best = found.sort("row", "score", "holdout_row", descending=[False, True, False])
    return best.unique("row", keep="first", maintain_order=True)
