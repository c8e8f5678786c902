"""The card: all numbers come from queries, stale cards are found, text of people is kept, snippets run."""

import copy
import re
import shutil
from pathlib import Path

import jinja2
import polars as pl
import pytest
from jinja2 import nodes
from typer.testing import CliRunner

from seas_data import cli, markdown
from seas_data.errors import SeasDataError
from seas_data.query import version
from seas_data.query.version import Version
from seas_data.release import card, checks, recipes
from seas_data.release.card import metadata, number_formats, queries, template_functions
from seas_data.release.folder import checkout
from seas_data.resources import folder
from seas_data.store import Manifest, open_workspace
from seas_data.store.stages import RUNS
from tests import made as make
from tests.conftest import quick
from tests.taxonomies import TYPES

REASON = "They wrote to us that it may be used so, " * 20
OVERRULED = {"licences": REASON, "splits": REASON * 2, "personal-data": "the address is invented"}


@pytest.fixture(scope="module")
def newest(made: Path) -> Version:
    return version.open(made).version()


@pytest.fixture(scope="module")
def files(newest: Version) -> dict[str, str]:
    return card.dataset_files(newest, "public", OVERRULED)


@pytest.fixture(scope="module")
def text(files: dict[str, str]) -> str:
    return files[card.README]


@pytest.fixture(scope="module")
def gated_text(newest: Version) -> str:
    return card.dataset_card(newest, "gated")


def headings(page: str) -> list[str]:
    fenced = re.sub(r"```.*?```", "", metadata.split(page)[1], flags=re.DOTALL)
    return [line for line in fenced.splitlines() if line.startswith("#")]


def table_below(page: str, heading: str) -> list[list[str]]:
    """Return the cells of the first table below a heading, the columns' names first."""
    found: list[list[str]] = []
    for line in page[page.index(f"{heading}\n") :].splitlines():
        if line.startswith("| "):
            found.append(line.strip("| ").split(" | "))
        elif found:
            break
    return [found[0], *found[2:]]


def store_of(folder: Path, root: Path) -> Version:
    """Put a release into a workspace of its own, as a pull does."""
    place = open_workspace(root, create=True)
    shutil.copytree(folder / "tables", root / "shards")
    manifest = Manifest.model_validate_json((folder / "manifest.json").read_bytes())
    return Version(place, place.commit(manifest, pl.DataFrame(schema=RUNS)))


@pytest.mark.slow
def test_the_sections_are_those_of_the_hubs_template_and_of_data_statements(text: str) -> None:
    found = [line[3:] for line in headings(text) if line.startswith("## ")]
    assert found == [
        "Dataset Details",
        "Uses",
        "Dataset Structure",
        "Dataset Creation",
        "Results",
        "Bias, Risks, and Limitations",
        "Licences",
        "Changes since v1",
        "Waived checks",
        "How to request a takedown",
        "Citation",
    ]


@pytest.mark.slow
def test_the_card_is_the_same_every_time(gated_text: str, gated: Path) -> None:
    assert (gated / card.README).read_text(encoding="utf-8") == gated_text


def test_every_number_of_the_page_is_in_a_query_result(newest: Version, text: str) -> None:
    allowed: set[str] = set()
    for names in (queries.DATASET, {key: list[str]() for key in ("rows-by-kind", "drop-reasons")}):
        for opened in (newest, version.open(newest.workspace.root).version(newest.manifest.parent)):
            for rows in queries.run_queries(opened, names).values():
                for row in rows:
                    allowed |= {str(markdown.escape(value)) for value in row.values() if not isinstance(value, list)}
                    allowed |= {
                        str(number_formats.percent(value)) for value in row.values() if isinstance(value, float)
                    }
                    allowed |= {f"{value:.3f}" for value in row.values() if isinstance(value, float)}
                    if {"value", "low", "high"} <= row.keys():
                        allowed |= {str(number_formats.percent_interval(row)), str(number_formats.number_interval(row))}
    for known in ("rows-by-kind", "drop-reasons"):  # the parent beside the version
        key = known.replace("-", "_")
        value = "kept" if known == "rows-by-kind" else "prompts"
        keys = ("kind", "difficulty") if known == "rows-by-kind" else ("reason",)
        parent = version.open(newest.workspace.root).version(newest.manifest.parent)
        pair = [queries.run_queries(each, {known: []})[key] for each in (parent, newest)]
        for row in queries.compare_results(pair[0], pair[1], keys, value):
            allowed |= {f"{row[name]:,}" for name in ("before", "after", "more")}
    settings = re.findall(r"\| (?:R0|T0|red|target).*likelihood.*|\| .*sigmoid.*", text)
    loads = re.search(r"\| Config \|.*?\n\n", text, flags=re.DOTALL)
    assert loads is not None
    checked = 0
    for line in text.splitlines():
        if not line.startswith("| ") or line in settings or line in loads[0] or line.startswith("| ---"):
            continue
        for cell in line.strip("| ").split(" | "):
            if re.match(r"-?[\d,.]+( %| \(|$)", cell) and not re.match(r"\d+ %", cell):
                assert cell in allowed, line
                checked += 1
    assert checked > 300


def test_some_numbers_as_a_reader_would_look_them_up(newest: Version, text: str) -> None:
    kept = newest.table("kept")
    released = kept.filter(role="training")
    assert table_below(text, "# Made")[1][2] == f"{released.height:,}" != f"{kept.height:,}"
    assert table_below(text, "# Made")[1][3] == str(released["source"].n_unique())
    by_type = {row[0]: row[2] for row in table_below(text, "### Types of attack")[1:]}
    for name, count in kept.filter(kind="adversarial").group_by("type").len().iter_rows():
        assert by_type[name or "not stated"] == f"{count:,}"
    cells = {
        (row["red_team"], row["target"]): row
        for row in queries.run_queries(newest, {"attack-success-matrix": []})["attack_success_matrix"]
    }
    names, *rows = table_below(text, "### Attack success")
    for red, *values in rows:
        for target, value in zip(names[1:], values, strict=True):
            cell = cells[red, target]
            assert value == f"{100 * cell['value']:.1f} % ({100 * cell['low']:.1f}–{100 * cell['high']:.1f})"
    assert ["`personal-data`", OVERRULED["personal-data"]] in table_below(text, "## Waived checks")


def test_the_public_card_says_what_is_withheld_and_the_gated_one_how_to_get_it(text: str, gated_text: str) -> None:
    gated = gated_text
    assert "### Withheld data" in text and "`responses`" in text
    assert "### How to get access" in gated and "### Withheld data" not in gated
    assert "extra_gated_prompt" in metadata.split(gated)[0]
    assert "## Waived checks" not in gated


def test_all_columns_of_prompts_are_described(text: str) -> None:
    from seas_data.release import configs

    told = {
        name for row in table_below(text, "### Columns of `prompts`")[1:] for name in re.findall(r"`(\w+)`", row[0])
    }
    assert told == set(configs.schema(configs.CONFIGS[0], "public"))


def test_no_prompt_is_quoted(newest: Version, text: str) -> None:
    for column in ("prompts", "attacks", "responses"):
        for quoted in newest.table(column)["text"].drop_nulls():
            assert len(quoted) < 12 or quoted not in text


@pytest.mark.slow
def test_a_card_is_current_until_something_changes(text: str, gated_text: str) -> None:
    assert card.differences(text, text) == []
    assert card.differences("Our words.\n\n" + metadata.split(text)[1], text) != []  # no metadata
    ours = text.replace("---\n\n<!--", "thumbnail: ours.png\n---\n\n# Before\n\n<!--", 1) + "\n## Behind\n\nThanks.\n"
    assert card.differences(ours, text) == []
    assert card.differences(ours.replace("\n", "\r\n"), text) == []
    found = card.differences(re.sub(r"\| 0 \|", "| 1 |", text, count=1), text)
    assert len(found) == 2 and found[0].startswith("-") and found[1].startswith("+")
    assert any("waived" in line for line in card.differences(text, gated_text))
    assert card.differences("# Something else\n", text)[-1].startswith("the card has no line")
    stale = card.differences(text.replace("license: ", "license: x"), text)
    assert stale == ["metadata: license is out of date"]


@pytest.mark.slow
def test_merging_keeps_what_people_wrote_around_our_part(text: str) -> None:
    people = (
        text.replace("| 0 |", "| 7 |").replace("---\n\n<!--", "---\n\nOur words before.\n\n<!--", 1)
        + "\nOur words behind.\n"
    )
    merged = card.merge(people, text)
    assert card.differences(merged, text) == []
    body = metadata.split(merged)[1]
    assert body.strip().startswith("Our words before.") and body.strip().endswith("Our words behind.")
    assert merged.count("<!-- seas-data: begin") == 1
    assert card.merge(merged, text) == merged
    assert card.merge(text, text) == text
    stranger = card.merge("---\nlicense: mit\nthumbnail: t.png\n---\n# Their card\n", text)
    assert metadata.split(stranger)[0]["thumbnail"] == "t.png"
    assert stranger.rstrip().endswith("# Their card")
    assert card.differences(stranger, text) == []


@pytest.mark.parametrize("damage", ["<!-- seas-data: end -->", "<!-- seas-data: begin"])
def test_a_card_whose_marks_are_damaged_is_refused(damage: str, text: str) -> None:
    with pytest.raises(SeasDataError, match="one line"):
        card.merge(text.replace(damage, "gone", 1), text)


@pytest.mark.slow
def test_the_command_writes_checks_and_says_what_differs(made: Path, tmp_path: Path) -> None:
    run = CliRunner().invoke
    page = tmp_path / "README.md"
    options = ["--workspace", str(made)]
    assert run(cli.app, ["card", "v2", "-o", str(page), *options]).exit_code == 0
    assert run(cli.app, ["card", "v2", "--check", "-o", str(page), *options]).exit_code == 0
    page.write_text(page.read_text() + "\nA note of ours.\n")
    stale = run(cli.app, ["card", "v1", "--check", "-o", str(page), *options])
    assert stale.exit_code == 1
    assert "update it with: seas-data card v1" in stale.output
    assert run(cli.app, ["card", "v1", "-o", str(page), *options]).exit_code == 0
    assert "A note of ours." in page.read_text() and "v1 public" in page.read_text()
    printed = run(cli.app, ["card", "v2", "--model", "T1", *options])
    assert printed.exit_code == 0 and "# Made T1" in printed.output
    missing = run(cli.app, ["card", "v2", "--check", "-o", str(tmp_path / "none.md"), *options])
    assert isinstance(missing.exception, SeasDataError)


def test_a_card_that_is_not_text_gives_a_message(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_bytes(b"# Caf\xe9\n")
    with pytest.raises(SeasDataError, match="not UTF-8 text"):
        card.find_differences(page, "fresh")
    with pytest.raises(SeasDataError, match="not UTF-8 text"):
        card.write("fresh", page)


def test_an_unknown_model_gives_a_message_with_the_known_ones(newest: Version) -> None:
    with pytest.raises(SeasDataError, match="has no model R9; its models are: R0, R1"):
        card.model_card(newest, "R9")


def without_a_type(opened: Version) -> Version:
    """Rewrite the newest version with its attacks of one type called by another."""
    gone, other = opened.table("kept").filter(kind="adversarial")["type"].drop_nulls().unique().sort()[:2]
    frame = pl.concat([pl.read_parquet(path) for path in opened.paths()["prompts"]])
    shard = opened.workspace.write_shard("prompts", frame.with_columns(pl.col("type").replace(gone, other)))
    tables = opened.manifest.tables | {"prompts": [shard], "relabels": []}
    runs = pl.read_parquet(opened.workspace.root / "runs" / f"{opened.name}.parquet")
    return Version(
        opened.workspace, opened.workspace.commit(opened.manifest.model_copy(update={"tables": tables}), runs)
    )


@pytest.mark.slow
@pytest.mark.parametrize("iterations", [1, 10])
def test_a_card_is_right_however_many_iterations_and_without_a_row_of_a_type(iterations: int, tmp_path: Path) -> None:
    settings: dict[str, int] = {"prompts": 200, "seeds": 10, "attacks": 2, "responses": 2, "dimensions": 8}
    opened = without_a_type(make.workspace(tmp_path / "ws", iterations=iterations, **settings))
    page = card.dataset_card(opened, "gated")
    for rows in re.findall(r"(?:^\|.*\n)+", page, flags=re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows.splitlines()}) == 1, rows
    figures = re.sub(r"(?s)### Columns of `prompts`.*?\n## ", "", page)  # the descriptions of columns mention null
    assert not re.search(r"\b(?:None|nan|inf|null)\b", figures)
    kept = opened.table("kept").filter(kind="adversarial", role="training")
    missing = [name for name in TYPES if name not in set(kept["type"])]
    assert missing and f"Types without a kept attack: {', '.join(missing)}." in page
    by_type = opened.table("kept").filter(kind="adversarial").group_by("type", "difficulty").len().rows()
    assert {tuple(row[:3]) for row in table_below(page, "### Types of attack")[1:]} == {
        (name or "not stated", difficulty or "–", f"{count:,}") for name, difficulty, count in by_type
    }
    told = table_below(page, "### Iterations of the loop")
    assert [row[0] for row in told[1:]] == [str(number) for number in range(1, iterations + 1)]
    names, *grid = table_below(page, "### Attack success")
    assert names[1:] == [f"T{number}" for number in range(iterations + 1)]
    assert [row[0] for row in grid] == [f"R{number}" for number in range(iterations + 1)]
    assert (names[0] == "Red team, %") == (iterations == 10)


@pytest.mark.slow
def test_the_card_of_a_red_team_warns_that_it_generates_attacks(newest: Version) -> None:
    red, target = card.model_card(newest, "R2"), card.model_card(newest, "T2")
    assert "**This model generates attacks.**" in red
    assert "generates attacks" not in target
    pairs = newest.table("pairs").filter(iteration=2)
    assert table_below(red, "### Training data")[1:] == [
        ["two attacks of one seed", str(pairs.filter(role="red").height)]
    ]
    assert {row[1] for row in table_below(target, "### Training data")[1:]} == {
        f"{count:,}" for _, count in pairs.filter(pairs["role"] != "red").group_by("role").len().iter_rows()
    }
    cells = queries.run_queries(newest, {"attack-success-matrix": []})["attack_success_matrix"]
    shown = {row[0]: row[1] for row in table_below(red, "### Against each target")[1:]}
    assert shown == {
        cell["target"]: number_formats.percent_interval(cell) for cell in cells if cell["red_team"] == "R2"
    }
    assert "### Safety, over-refusal and general ability" in target


@pytest.mark.slow
def test_each_iteration_has_the_models_judges_and_settings_of_its_own_recipe(mine: Path) -> None:
    place = version.open(mine).workspace
    first, second = place.manifest("v1"), place.manifest("v2")
    runs = {name: pl.read_parquet(place.root / "runs" / f"{name}.parquet") for name in ("v1", "v2")}
    said = copy.deepcopy(first.recipe)
    said["models"]["red"] |= {"model": "org/before", "licence": "llama3.1"}
    said["judges"][1]["guard"] = "wildguard"
    said["training"]["red"]["learning_rate"] = 0.25
    first = place.commit(first.model_copy(update={"recipe": said}), runs["v1"])
    place.commit(second.model_copy(update={"parent_digest": first.digest}), runs["v2"])
    newest = version.open(mine).version()
    page = card.dataset_card(newest)
    assert "| red team, iteration 1 | org/before |" in page.replace("`", "")
    assert "| red team, iteration 2 | made-red |" in page.replace("`", "")
    assert "red teams, iteration 1 | sigmoid | 0.25 |" in page
    assert "wildguard, llama-guard-2" in page.replace("`", "")
    assert "| target | made-target |" in page.replace("`", "")
    red = metadata.split(card.model_card(newest, "R2"))[0]
    assert red["license"] == "unknown" and red["base_model"] == ["org/before"]
    assert metadata.split(card.model_card(newest, "R1"))[0]["license"] == "llama3.1"


@pytest.mark.slow
def test_a_pulled_public_release_shows_withheld_counts(public: Path, tmp_path: Path, text: str) -> None:
    place = store_of(public, tmp_path / "pulled")
    page = card.dataset_card(place, "public")
    pairs = page[page.index("Red pairs") :]
    assert pairs.splitlines()[2].count("withheld") == 3
    assert page[page.index("### Splits and leaks") :].split("### Contamination")[0].count("withheld") == 3
    assert "withheld |" not in text
    assert [row for row in table_below(card.model_card(place, "T1"), "### Training data") if "refusal" in row[0]] == []


def test_a_reason_is_not_cut(text: str) -> None:
    reasons = dict(table_below(text, "## Waived checks")[1:])
    assert reasons["`licences`"] == REASON.strip()
    assert "…" in reasons["`splits`"]


@pytest.mark.slow
def test_an_invalid_recipe_gives_a_message(mine: Path) -> None:
    place = version.open(mine).workspace
    newest = place.manifest()
    runs = pl.read_parquet(place.root / "runs" / f"{newest.version}.parquet")
    for part in ({"judges": "all"}, {"models": ["red"]}, {"models": {"red": 1}}, {"release": {"licences": [1]}}):
        invalid = place.commit(newest.model_copy(update={"recipe": newest.recipe | part}), runs)
        with pytest.raises(SeasDataError, match=f"{next(iter(part))}.* cannot be released"):
            recipes.read_recipe(invalid)
    with pytest.raises(SeasDataError, match="licences"):
        card.dataset_card(version.open(mine).version())
    with pytest.raises(SeasDataError, match="cannot be released"):
        checks.run(version.open(mine).version())
    odd = newest.recipe | {"curation": {"a_key_of_later": 1}, "pulled_from": "org/name"}
    assert recipes.read_recipe(place.commit(newest.model_copy(update={"recipe": odd}), runs))


def test_the_card_of_a_version_without_a_loop_has_no_loop_sections(example: Path) -> None:
    files = card.dataset_files(version.open(example).version("v0"))
    page = files[card.README]
    assert "it contains no model outputs" in page
    assert not {"## Results", "### Judges", "### Models and settings"} & set(headings(page))
    assert list(files) == ["README.md"]
    code = snippets(page)
    assert set(code) == {"datasets", "Polars", "DuckDB", "TRL"} and "DPOTrainer" not in code["TRL"]


def test_templates_print_nothing_that_is_not_escaped() -> None:
    """No filter and no ``~``: both would make text that counts as Markdown already."""
    environment = jinja2.Environment()
    pages = [*folder("cards").rglob("*.jinja")]
    assert len(pages) > 5
    for page in pages:
        tree = environment.parse(page.read_text(encoding="utf-8"))
        assert not [*tree.find_all((nodes.Concat, nodes.Filter, nodes.CallBlock, nodes.Macro))], page
        called = {node.node.name for node in tree.find_all(nodes.Call) if isinstance(node.node, nodes.Name)}
        assert called <= set(template_functions.FUNCTIONS), page


def snippets(page: str) -> dict[str, str]:
    """Return the Python of a card by the library that its introduction names."""
    return dict(re.findall(r"With \[(\w+)\][^\n]*\n\n```python\n(.*?)```", page, flags=re.DOTALL))


@pytest.mark.slow
@pytest.mark.parametrize("profile", quick(1, ["public", "gated"]))
@pytest.mark.parametrize("library", quick(1, ["datasets", "Polars", "DuckDB"]))
def test_each_snippet_runs_in_the_folder(
    library: str,
    profile: str,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    release: Path = request.getfixturevalue(profile)
    monkeypatch.chdir(release)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path)
    code = snippets((release / "README.md").read_text(encoding="utf-8").replace("org/name", str(release)))
    exec(compile(code[library], library, "exec"), {})
    assert "train" in capsys.readouterr().out or library != "datasets"


@pytest.mark.slow
def test_prompts_alone_are_loaded_for_trl_where_there_are_no_pairs(
    made: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    checkout(version.open(made).version("v0"), tmp_path / "release")
    code = snippets((tmp_path / "release" / "README.md").read_text(encoding="utf-8"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    exec(compile(code["TRL"].replace("org/name", str(tmp_path / "release")), "TRL", "exec"), {})
    assert "features: ['prompt']" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["public", "gated"])
def test_the_pairs_go_straight_into_trl(
    profile: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("trl")
    from seas_data.sandbox.tiny import write_model

    release: Path = request.getfixturevalue(profile)
    write_model(tmp_path / "model", layers=1, seed=0, hidden=32, heads=2, intermediate=64, vocabulary=["a", "the"])
    code = snippets((release / "README.md").read_text(encoding="utf-8").replace("org/name", str(release)))["TRL"]
    assert "path/to/your/model" in code and 'DPOConfig("trained")' in code
    code = code.replace("path/to/your/model", str(tmp_path / "model"))
    code = code.replace(
        'DPOConfig("trained")', f'DPOConfig("{tmp_path}/trained", max_steps=2, use_cpu=True, report_to="none")'
    )
    monkeypatch.chdir(release)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    known: dict[str, object] = {}
    exec(compile(code, "TRL", "exec"), known)
    assert known["trainer"].state.global_step == 2  # type: ignore[attr-defined]


@pytest.mark.slow
def test_a_version_without_a_row_has_a_card(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "ws")
    opened = version.open(tmp_path / "ws")
    last = opened.version().manifest
    empty = last.model_dump() | {"version": "v3", "parent": last.version, "parent_digest": last.digest, "tables": {}}
    opened.version().workspace.commit(Manifest.model_validate(empty), pl.DataFrame(schema=RUNS))
    page = card.dataset_card(opened.version("v3"), "public")
    assert metadata.split(page)[0]["size_categories"] == ["n<1K"]
