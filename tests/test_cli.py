"""The command line as a person meets it: facts on standard output, one sentence for what is wrong."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import polars as pl
import pytest
import typer
import yaml

import seas_data as sd
from seas_data import recipe as recipes
from seas_data.cli import app, terminal
from seas_data.query import library
from seas_data.resources import folder
from seas_data.text import masked
from tests.conftest import EXAMPLE, quick
from tests.program import PROGRAM, called

QUERIES = library.load(folder("sql"))


def process(*arguments: object) -> "subprocess.CompletedProcess[bytes]":
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "COLUMNS": "100"}
    return subprocess.run([*PROGRAM, *map(str, arguments)], capture_output=True, env=environment, check=False)


def said(*arguments: object) -> str:
    ended = called(*arguments)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def refused(*arguments: object) -> str:
    ended = called(*arguments)
    assert ended.returncode == 2, (ended.stdout, ended.stderr)
    assert ended.stdout == ""
    assert ended.stderr.startswith("error: ")
    assert ended.stderr.count("\n") == 1, ended.stderr
    return ended.stderr


@pytest.fixture
def at(example: Path) -> list[str]:
    return ["--workspace", str(example)]


def test_log_and_show_as_json_have_the_keys_that_others_rely_on(at: list[str]) -> None:
    (entry,) = json.loads(said("log", *at, "--json"))
    assert entry["version"] == "v0"
    shown = json.loads(said("show", "v0", *at, "--json"))
    assert {"version", "digest", "parent", "iteration", "tables", "recipe"} <= shown.keys()
    assert shown["digest"] == entry["digest"]
    assert shown["parent"] is None
    assert shown["tables"]["prompts"] == entry["prompts"]
    assert shown["recipe"]["name"] == "example"
    assert str(EXAMPLE.parent) not in json.dumps(shown), "a manifest names no path of the machine"


def test_show_tells_the_same_to_people(at: list[str]) -> None:
    text = said("show", *at)
    shown = json.loads(said("show", *at, "--json"))
    for count in (*shown["kinds"].values(), *shown["splits"].values()):
        assert str(count) in text
    assert "near_duplicate" in text


@pytest.mark.slow
def test_why_tells_the_story_by_id_by_its_start_and_by_text(at: list[str]) -> None:
    rows = json.loads(
        said(
            "sql",
            "-q",
            "select p.prompt_id, p.text, witness_id from decisions d join prompts p using (prompt_id) "
            "where reason = 'near_duplicate' order by 1 limit 1",
            *at,
            "--format",
            "json",
        )
    )
    prompt_id, text, witness = rows[0]["prompt_id"], rows[0]["text"], rows[0]["witness_id"]
    by_id = said("why", prompt_id, *at)
    assert by_id == said("why", prompt_id[:12], *at) == said("why", f"  {text.upper()} ", *at)
    assert "dropped: near_duplicate" in by_id
    assert witness in by_id
    assert text not in by_id, "prompts are masked"
    assert text in said("why", prompt_id, *at, "--reveal")
    (row,) = json.loads(said("why", prompt_id, *at, "--json"))[0]["witnesses"]
    assert row["prompt_id"] == witness
    shown = next(line for line in by_id.splitlines() if line.startswith("witness "))
    assert f"{row['source']} {row['source_id']} (" in shown and masked(row["text"]) in shown
    assert row["text"] not in by_id and row["text"] in said("why", prompt_id, *at, "--reveal")
    assert prompt_id in said("why", witness, *at), "the witness tells what it was the witness of"
    assert json.loads(said("why", prompt_id, *at, "--json"))[0]["kept"] is False


def test_why_shows_of_a_witness_what_the_asker_may_see(capsys: pytest.CaptureFixture[str]) -> None:
    texts = {"a": "one two three four five \x1b[2J", "b": None}
    witnesses = [
        {"prompt_id": key, "source": "s", "source_id": key, "repository": None, "text": text}
        for key, text in texts.items()
    ]
    same = {"version": "v0", "step": "select", "decision": "flag", "reason": "near_duplicate", "score": None}
    decisions = [same | {"witness_id": key, "threshold": None, "detail": None} for key in ("a", "b", "c")]
    prompt = defaultdict(lambda: None, {"prompt_id": "p", "text": "t", "kind": "general", "source": "s"})
    rest = dict.fromkeys(("template", "split", "cluster")) | {"same_request": [], "witness_of": [], "kept": True}
    terminal.print_prompts([{"prompt": prompt, "decisions": decisions, "witnesses": witnesses, **rest}], reveal=False)
    printed = capsys.readouterr().out
    assert "witness      s a (no repository stated): one two three four… (28 characters)" in printed
    assert "witness      s b (no repository stated): (withheld from this release)" in printed
    assert "witness      no row of this version" in printed


@pytest.mark.slow
def test_sql_in_every_format_gives_the_same_rows(at: list[str], tmp_path: Path) -> None:
    query = ["sql", "-q", "select type, count(*) as rows from kept where type is not null group by 1 order by 1", *at]
    expected = json.loads(said(*query, "--format", "json"))
    assert [
        {"type": row["type"], "rows": int(row["rows"])}
        for row in csv.DictReader(io.StringIO(said(*query, "--format", "csv")))
    ] == expected
    parquet = process(*query, "--format", "parquet").stdout
    assert pl.read_parquet(io.BytesIO(parquet)).to_dicts() == expected
    table = said(*query)
    assert all(re.search(rf"{row['type']} +{row['rows']}\b", table) for row in expected)


@pytest.mark.slow
def test_every_query_of_the_library_runs_on_the_example(at: list[str], example: Path) -> None:
    names = [row["name"] for row in json.loads(said("sql", "--list", *at, "--format", "json"))]
    assert sorted(names) == sorted(QUERIES)
    version = sd.open(example).version()
    for name in names:
        version.select(QUERIES[name].sql, QUERIES[name].values([]))
    for name in ("rows-by-type", "drop-reasons-by-source"):
        assert json.loads(said("sql", name, *at, "--format", "json"))


def test_control_characters_of_a_prompt_never_reach_the_terminal(at: list[str]) -> None:
    hostile = json.loads(
        said("sql", "-q", "select prompt_id from prompts where regexp_matches(text, '[\\x1b\\x{202e}]')", *at, "--json")
    )
    assert hostile, "the example should hold bidi marks or terminal escapes"
    for row in hostile:
        shown = said("why", row["prompt_id"], *at, "--reveal")
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)


def test_review_is_a_sheet_that_a_spreadsheet_does_not_execute(at: list[str], tmp_path: Path) -> None:
    sheet = tmp_path / "review.csv"
    said("review", "v0", "--sample", 60, "-o", sheet, *at)
    with sheet.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 60
    assert {"prompt_id", "text", "label", "decision", "who", "because"} <= rows[0].keys()
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())


def test_review_overwrites_a_sheet_only_if_nobody_has_filled_it_in(at: list[str], tmp_path: Path) -> None:
    sheet = tmp_path / "review.csv"
    said("review", "v0", "--sample", 3, "-o", sheet, *at)
    said("review", "v0", "--sample", 4, "-o", sheet, *at)
    header, *rows = csv.reader(sheet.read_text("utf-8-sig").splitlines())
    for row in rows[2:]:
        row[header.index("decision")] = "drop"
    with sheet.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    filled = sheet.read_bytes()
    assert "holds decisions or is no review sheet; pass another file with -o" in refused("review", "-o", sheet, *at)
    assert sheet.read_bytes() == filled
    (tmp_path / "notes.csv").write_text("prompt,note\nmine,do not lose\n")
    assert "is no review sheet" in refused("review", "-o", tmp_path / "notes.csv", *at)


@pytest.mark.slow
def test_checkout_is_a_folder_that_the_ecosystem_opens(at: list[str], tmp_path: Path) -> None:
    import datasets
    import duckdb

    folder = tmp_path / "release"
    said("checkout", "v0", folder, *at)
    kept = json.loads(said("sql", "-q", "select count(*) as rows from kept where role = 'training'", *at, "--json"))[0][
        "rows"
    ]
    loaded = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    assert sum(split.num_rows for split in loaded.values()) == kept
    assert set(loaded) == {"train", "test", "harmless"}
    assert pl.scan_parquet(folder / "data" / "prompts" / "*.parquet").select(pl.len()).collect().item() == kept
    here = Path.cwd()
    os.chdir(folder)
    try:
        connection = duckdb.connect()
        connection.execute((folder / "views.sql").read_text())
        assert connection.execute("select count(*) from kept where role = 'training'").fetchone() == (kept,)
    finally:
        os.chdir(here)
    assert "already exists" in refused("checkout", "v0", folder, *at)


def test_a_dry_run_prints_the_plan_and_makes_nothing(tmp_path: Path) -> None:
    text = said(
        "build", EXAMPLE, "--workspace", tmp_path / "ws", "--dry-run", "--set", "curation.near.duplicate_threshold=0.9"
    )
    assert "duplicate_threshold 0.9" in text
    assert "lookalikes" in text
    assert not (tmp_path / "ws").exists()


def test_a_dry_run_reads_what_people_decided(tmp_path: Path) -> None:
    for name, content in (("none.csv", None), ("wrong.csv", "prompt_id,who\n")):
        if content is not None:
            (tmp_path / name).write_text(content)
        refused = called("build", EXAMPLE, "--dry-run", "--set", f"overrides={tmp_path / name}")
        assert (refused.returncode, name in refused.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["build", "nowhere.yaml"], "there is no recipe at nowhere.yaml"),
        (
            ["build", str(EXAMPLE), "--set", "curation.neer.duplicate_threshold=1"],
            "curation.neer is not a key (did you mean near?)",
        ),
        (["build", str(EXAMPLE), "--set", "curation.near.duplicate_threshold=2"], "curation.near.duplicate_threshold"),
        (["build", str(EXAMPLE), "--set", "name"], "should have the form a.b=value"),
        (["build", str(EXAMPLE), "--set", "sources.general.path=gone.jsonl"], "source general: there is no"),
        (
            ["build", str(EXAMPLE), "--set", "sources.general.columns.text=txt"],
            "there is no column txt (sources.general.columns.text); there are ",
        ),
        (["build", "public-prompts"], "$SEAS_DATA_REAL is not set"),
    ],
)
def test_a_wrong_recipe_is_one_sentence(
    arguments: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SEAS_DATA_REAL", raising=False)
    assert sentence in refused(*arguments, "--workspace", tmp_path / "ws")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    quick(
        5,
        [
            (["show", "v9"], "no version or tag v9; its versions are v0"),
            (["why", "no prompt says this"], "no prompt of v0 has this id or text"),
            (["sql", "no-such-query"], "no-such-query"),
            (["sql"], "pass one of: the name of a query"),
            (["sql", "-q", "select nothing from kept"], "nothing"),
            (["sql", "-q", "drop view kept"], "SELECT"),
            (["sql", "rows-by-type", "--param", "a=1"], "rows-by-type"),
            (["sql", "rows-by-type", "--format", "xlsx"], "xlsx"),
            (["tag", "v0", "v1"], "cannot be a tag"),
            (["diff", "v0", "v1"], "no version or tag v1"),
            (["show", "v0", "--version", "v1"], "v0 and --version v1 are different versions; name one of them"),
            (["card", "v0", "--version", "v1"], "name one of them"),
            (["verify", "v0", "--version", "v1"], "name one of them"),
            (["verify", ""], "no version or tag ;"),
            (["log", "--version", ""], "no version or tag ;"),
            (["why", "\x1b]0;gone\x07", "--version", "\x1b[2J"], "no version or tag \\u{1b}[2J"),
        ],
    ),
)
def test_a_wrong_question_is_one_sentence(arguments: list[str], sentence: str, at: list[str]) -> None:
    assert sentence in refused(*arguments, *at)


NEITHER = "\xff\xfe\x00 neither text nor a table".encode("latin-1")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    quick(
        2,
        [
            (["sql", "-f"], "is not UTF-8 text"),
            (["check", "--card"], "is not UTF-8 text"),
            (["card", "--check", "-o"], "is not UTF-8 text"),
            (["card", "-o"], "is not UTF-8 text"),
            (["judge", "--gold"], "lacks the columns response_id and verdict"),
        ],
    ),
)
def test_a_file_that_is_no_text_is_one_sentence_that_names_it(
    arguments: list[str], sentence: str, at: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "strange"
    path.write_bytes(NEITHER)
    told = refused(*arguments, path, *at)
    assert sentence in told
    assert str(path) in told


def test_a_table_that_is_none_is_one_sentence_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "attacks.parquet").write_bytes(NEITHER)
    assert f"{tmp_path / 'attacks.parquet'} could not be read" in refused("evaluate", tmp_path)


def test_a_folder_in_place_of_a_file_to_write_is_named(at: list[str], tmp_path: Path) -> None:
    assert f"{tmp_path} could not be written (Is a directory)" in refused("review", "-o", tmp_path, *at)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["judge", "recipe", "folder", "-o", "x", "--version", "v0"],
            "cannot be combined with --version, --output",
        ),
        (["judge", "recipe", "folder", "--workspace", "ws"], "RECIPE FOLDER cannot be combined with --workspace"),
        (["judge", "recipe", "--gold", "x", "--trust"], "--gold cannot be combined with RECIPE, --trust"),
        (["pairs", "recipe", "folder", "--role", "red"], "RECIPE FOLDER cannot be combined with --role"),
        (["pairs", "recipe", "folder", "-o", "x"], "RECIPE FOLDER cannot be combined with --output"),
        (["pairs", "recipe", "--from", "x"], "--from cannot be combined with RECIPE"),
        (["judge"], "pass a recipe and a folder of tables"),
        (["pairs"], "pass a recipe and a folder of tables"),
    ],
)
def test_an_option_of_the_other_way_to_call_a_command_is_refused(arguments: list[str], sentence: str) -> None:
    assert sentence in refused(*arguments)


@pytest.mark.parametrize("command", [["pairs", "--from", "x"], ["train", "recipe", "folder", "-o", "x"]])
def test_a_role_is_one_of_two(command: list[str]) -> None:
    ended = called(*command, "--role", "blue")
    assert ended.returncode == 2
    assert "'red', 'target'" in ended.stderr


def test_a_stage_of_a_pulled_recipe_runs_when_it_is_trusted(tmp_path: Path) -> None:
    recipe = recipes.read(EXAMPLE.parent / "sandbox-smoke.yaml")
    recipe["models"]["red"] = {"backend": "http", "model": "red", "url": "http://127.0.0.1:9/v1"}
    path = tmp_path / "pulled.yaml"
    path.write_text(yaml.safe_dump(recipe | {"pulled_from": "org/name@1.0.0"}))
    assert "with --trust" in refused("judge", path, tmp_path / "round")
    assert ".parquet does not exist; run the stage" in refused("judge", path, tmp_path / "round", "--trust")


def test_verify_names_a_damaged_file_once_for_all_versions(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "ws")
    shard = min((tmp_path / "ws" / "shards" / "prompts").iterdir())
    shard.write_bytes(b"other")
    ended = called("verify", "--json", "--workspace", tmp_path / "ws")
    assert ended.returncode == 2
    told = json.loads(ended.stdout)
    assert told["versions"] == ["v0", "v1", "v2"]
    assert len(told["problems"]) == 1
    assert shard.name in told["problems"][0]
    assert ended.stderr.count(shard.name) == 1


def test_a_folder_that_is_no_workspace_is_one_sentence(tmp_path: Path) -> None:
    for command in (["log"], ["show"], ["verify"], ["sql", "rows-by-type"], ["why", "x"], ["review"]):
        message = "is not a workspace; create one with: seas-data build"
        assert message in refused(*command, "--workspace", tmp_path / "ws")


COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_starts_with_a_sentence_has_an_example_and_describes_every_parameter(name: str) -> None:
    summary, example = COMMANDS[name].help.split("\n\n")[0], f"seas-data {name}"
    assert re.fullmatch(r"[A-Z][a-z]+ .*[.]", " ".join(summary.split())), summary
    assert example in COMMANDS[name].help
    assert [each.name for each in COMMANDS[name].params if not getattr(each, "help", None)] == []


def test_light_commands_load_no_heavy_library(example: Path) -> None:
    program = (
        "import sys; sys.argv = ['seas-data', 'show', '--workspace', sys.argv[1]]\n"
        "from seas_data.cli import app\n"
        "try: app()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'sklearn', 'sentence_transformers', 'datasets'} & sys.modules.keys()\n"
        "assert not heavy, heavy\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(example)], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
