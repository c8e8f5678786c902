"""A build of the real sets: every row accounted for, the known leak found, contrast pairs kept. Takes minutes."""

import os
import shutil
import time
from pathlib import Path

import pytest

import seas_data as sd
from seas_data import recipe as recipes
from seas_data.query.version import Version
from seas_data.recipe import Recipe
from seas_data.run import build
from seas_data.store import open_workspace
from tests.conftest import EXAMPLE

RECIPE = EXAMPLE.parent / "public-prompts.yaml"
HOLDOUT = ("xstest_v2", "harmbench_text", "adversarialqa")
# The counts below depend on these settings, so they do not follow the defaults.
SETTINGS = (
    "curation.limits={min_characters: 3, max_characters: 20000}",
    "curation.contamination={ngram_threshold: 0.8, semantic_threshold: 0.95}",
    "curation.templates={min_rows: 20, min_characters: 60, max_per_template: 200}",
    "curation.near={duplicate_threshold: 0.8, group_threshold: 0.6}",
    "curation.semantic={duplicate_threshold: 0.95, group_threshold: 0.92}",
)
pytestmark = [pytest.mark.slow, pytest.mark.real]


def recipe(real: Path, *changes: str) -> Recipe:
    os.environ["SEAS_DATA_REAL"] = str(real)
    return recipes.load(RECIPE, [*SETTINGS, *changes])


@pytest.fixture(scope="module")
def built(real: Path, tmp_path_factory: pytest.TempPathFactory) -> Version:
    root = tmp_path_factory.mktemp("real") / "ws"
    assert build(recipe(real), root).new
    return sd.open(root).version()


def test_every_row_is_a_prompt_or_set_aside(built: Version) -> None:
    assert built.table("prompts").height + built.table("set_aside").height == 69_461


def test_all_copies_of_holdout_prompts_are_found(built: Version) -> None:
    found = built.select(
        "select count(distinct h.prompt_id) as twins from decisions d join prompts p using (prompt_id) "
        "join prompts h on h.text_digest = p.text_digest and h.source = 'adversarialqa' "
        "where d.reason = 'contaminated' and d.decision = 'drop' and p.source = 'advbench_behaviors'"
    )
    assert found.item() == 500


def test_every_duplicate_has_a_kept_witness_on_its_side(built: Version) -> None:
    bad = built.select(
        "select count(*) from decisions d join prompts p using (prompt_id) "
        "left join kept w on w.prompt_id = d.witness_id "
        "where d.reason like '%duplicate' and (w.prompt_id is null or d.score < d.threshold "
        "or (w.kind = 'adversarial') <> (p.kind = 'adversarial'))"
    )
    assert bad.item() == 0


def test_semantic_drops_are_texts_in_a_supported_language(built: Version) -> None:
    spoken = built.select(
        "select distinct language from decisions join prompts using (prompt_id) where reason = 'semantic_duplicate'"
    )
    assert spoken["language"].to_list() == ["en"]
    assert built.select("select count(*) from decisions where reason = 'not_embeddable'").item() > 10_000


def test_no_group_crosses_the_split(built: Version) -> None:
    assert built.select("select group_id from splits group by 1 having count(distinct split) > 1").height == 0


def test_a_second_build_adds_no_version_within_seconds(built: Version, real: Path) -> None:
    started = time.monotonic()
    again = build(recipe(real), built.workspace.root)
    assert not again.new
    assert time.monotonic() - started < 30


def test_without_the_holdout_role_contrast_pairs_are_kept_and_flagged(
    built: Version, real: Path, tmp_path: Path
) -> None:
    root = tmp_path / "ws"
    open_workspace(root, create=True)
    shutil.copytree(built.workspace.root / "vectors", root / "vectors")
    open_version = build(recipe(real, *(f"sources.{name}.role=training" for name in HOLDOUT)), root).version
    kept = open_version.select("select count(*) from kept where source = 'xstest_v2' and kind = 'harmless'")
    assert kept.item() == 250
    flagged = open_version.select(
        "select count(*) from decisions join prompts using (prompt_id) "
        "where reason = 'contrast_pair' and source = 'xstest_v2' and kind = 'harmless'"
    )
    assert flagged.item() >= 15
