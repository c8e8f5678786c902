"""Personal data and secrets: what is found, what is passed over, and that no text is shown or takes for ever."""

import shutil
import time
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seas_data.query import version
from seas_data.release import checks
from seas_data.release.privacy import pii
from seas_data.store import Shard, files
from tests.conftest import examples, quick


@pytest.fixture
def mine(scanned: Path, tmp_path: Path) -> Path:
    """A copy of the generated workspace whose texts are scanned already, that a test may change."""
    return Path(shutil.copytree(scanned, tmp_path / "mine"))


# Invented and well-formed; put together here, so that no scanner takes this file for a leak.
FAKE = {
    "anthropic": "sk-" + "ant-api03-" + "rosegarden" * 5,
    "aws": "AKIA" + "GARDEN0EXAMPLE00",
    "azure-storage-key": "AccountKey=" + "a" * 86 + "==",
    "basic-auth": "https://gardener:" + "rosebush@localhost/",
    "github-token": "ghp_" + "a1B2" * 9,
    "gitlab-token": "glpat-" + "a1B2c" * 4,
    "google": "AIza" + "Ab1_-" * 7,
    "huggingface": "hf_" + "aB" * 17,
    "jwt": "eyJhbGciOiJIUzI1NiJ9." + "eyJnYXRlIjoibm9ydGgifQ." + "c2lnbmF0dXJl",
    "npm": "//registry.npmjs.org/:_authToken=" + "npm_abcdef",
    "openai": "sk-" + "proj-" + "roses_and_bells-" * 3,
    "private-key": "-----BEGIN " + "RSA PRIVATE KEY-----",
    "sendgrid": "SG." + "a" * 22 + "." + "b" * 43,
    "slack": "xoxb-" + "123456789012-abcdefghij",
    "stripe": "sk_" + "live_" + "a1B2c3" * 4,
    "telegram-token": "123456789:" + "AbCdE" * 7,
    "twilio": "AC" + "a1" * 16,
}
FOUND = [
    ("write to ada@orchard-garden.org today", "email"),
    ("ADA.LOVE+roses@Mail.Orchard-Garden.co.uk", "email"),
    ("call +44 20 7946 0958 before noon", "telephone"),
    ("telephone: (212) 736-5000.", "telephone"),
    ("ring 212-736-5000", "telephone"),
    ("the gate is at 8.8.8.8", "ip-address"),
    ("the gate is 8.8.8.8.", "ip-address"),
    ("or 2001:4860:4860::8888", "ip-address"),
    ("12 Rose Garden Lane, Springfield, IL 62704", "postal-address"),
    ("221B Baker Street, London NW1 6XE", "postal-address"),
    *((f"it says {text} on the gate", kind) for kind, text in FAKE.items()),
    *((f'"{text}"\n', kind) for kind, text in FAKE.items()),
]
PASSED_OVER = [
    "ada@example.com, bob@mail.example.org, carl@gate.test, dora@localhost",
    "meet me @ the well at 5",
    "h@ck the m@ze, pl3@se",
    "127.0.0.1, 10.0.0.1, 192.168.1.20, 203.0.113.7 and version 1.2.3.4.5",
    "999.999.999.999",
    "std::vector<int> and abc::def, at 12:30:45",
    "call 555-0143 or 202 555 0143",
    "from 2019-2021, on 2024-01-31, at 10.30, pages 100-1200, 3.14159265358979",
    "1 2 3 4 5 6 7 8 9 10 11 12",
    "01101000 01100101 01101100 01101100 01101111",
    "12345678901234567890123456789012345678901234567890",
    "aGVsbG8gZnJpZW5kLCB3aGF0IGlzIGtlcHQgaW4gdGhlIG5vcnRoIGdhdGU/",
    "the password is swordfish and the key is under the mat",
    "5 Rose Lane has no postcode, and 62704 no street",
    "eyJub3QgYSB0b2tlbiBhdCBhbGw.x.y is no token",
    "https://well.house:8000/path@here",
    "",
]


def kinds(text: str | None) -> set[str]:
    found = pii.scan(pl.DataFrame({"id": ["a"], "text": pl.Series([text], dtype=pl.String)}))
    assert set(found["id"]) <= {"a"}
    return set(found["kind"])


@pytest.mark.parametrize(("text", "kind"), quick(15, FOUND))
def test_what_is_there_is_found(text: str, kind: str) -> None:
    assert kinds(text) == {kind}


@pytest.mark.parametrize("text", PASSED_OVER)
def test_what_only_looks_like_it_is_passed_over(text: str) -> None:
    assert kinds(text) == set()


def test_rows_are_named_once_for_each_kind() -> None:
    rows = pl.DataFrame(
        {"id": ["b", "a", "c", "d"], "text": [f"x@roses.org y@roses.org {FAKE['aws']}", "z@roses.org", "nothing", None]}
    )
    assert pii.scan(rows).rows() == [("a", "email"), ("b", "aws"), ("b", "email")]


@given(st.text(max_size=200))
@examples(30)
def test_any_text_can_be_scanned(text: str) -> None:
    kinds(text)


@pytest.mark.parametrize(
    "piece",
    quick(
        4, ["a@", "@a.", "://a:", "eyJ.", "1.", "+1 ", "(1", "AccountKey=", "//x/:_authToken=", "sk-", "1 A ", "2001:"]
    ),
)
def test_a_long_hostile_line_takes_no_longer_than_a_long_line(piece: str) -> None:
    start = time.perf_counter()
    kinds(piece * (50_000 // len(piece)))
    assert time.perf_counter() - start < 20


def test_every_detector_is_of_a_key_with_a_form_of_its_own() -> None:
    words = pl.DataFrame({"id": ["a"], "text": ["password = 'swordfish' secret: hunter2 api_key: abcdefgh"]})
    assert pii.scan(words).is_empty()
    assert {kind.replace("_", "-") for kind, _ in pii.SECRET_PATTERNS} >= set(FAKE)


def test_the_keys_of_a_recipe_are_read_too_and_no_finding_says_them(mine: Path) -> None:
    place = version.open(mine).workspace
    newest = place.manifest()
    kinds = {"ada@orchard-garden.org": "harmless", "grace": "write to ada@orchard-garden.org"}
    recipe = newest.recipe | {"sources": {"letters": newest.recipe["sources"]["letters"] | {"kind_map": kinds}}}
    runs = pl.read_parquet(mine / "runs" / f"{newest.version}.parquet")
    place.commit(newest.model_copy(update={"recipe": recipe}), runs)
    found = pii.find_in_release(version.open(mine).version(), "public").filter(table="recipe")
    assert found["id"].to_list() == ["sources.letters.kind_map....", "sources.letters.kind_map.grace"]
    assert set(found["kind"]) == {"email"}


WORDS = {
    "tombstones": ("because",),
    "prompts": ("language", "source_id", "source_risk", "source_style"),
    "set_aside": ("detail", "location"),
}


def test_what_people_and_sources_wrote_beside_the_texts_is_read_too(mine: Path) -> None:
    opened = version.open(mine).version()
    place, tables = opened.workspace, dict(opened.manifest.tables)
    tombstone = {
        "prompt_id": [None, "a" * 24],
        "response_id": ["b" * 24, None],
        "version": "v2",
        "because": "asked for",
    }
    frames = {"tombstones": pl.DataFrame(tombstone)} | {name: opened.table(name) for name in ("prompts", "set_aside")}
    for name, columns in WORDS.items():
        rows = frames[name].with_columns(pl.lit("ask ada@orchard-garden.org").alias(column) for column in columns)
        tables[name] = [place.write_shard(name, rows)]
    place.commit(
        opened.manifest.model_copy(update={"tables": tables}), pl.read_parquet(mine / "runs" / f"{opened.name}.parquet")
    )
    found = pii.find_in_release(version.open(mine).version(), "public")
    assert found.select("table", "column").unique().sort("table", "column").rows() == sorted(
        (name, column) for name, columns in WORDS.items() for column in columns
    )
    assert set(found.filter(table="tombstones")["id"]) == {"a" * 24, "b" * 24}


@pytest.mark.slow
def test_a_column_that_an_older_shard_lacks_is_passed_over(mine: Path) -> None:
    opened = version.open(mine).version()
    shards = []
    for path in opened.paths()["verdicts"]:
        older = pl.read_parquet(path).drop("raw")
        temporary = path.with_name("older")
        files.write_parquet(temporary, older)
        shards.append(Shard(sha256=files.sha256(temporary), rows=older.height, bytes=temporary.stat().st_size))
        temporary.rename(opened.workspace.shard_path("verdicts", shards[-1]))
    tables = opened.manifest.tables | {"verdicts": shards}
    opened.workspace.commit(
        opened.manifest.model_copy(update={"tables": tables}), pl.read_parquet(mine / "runs" / f"{opened.name}.parquet")
    )
    candidate = checks.Candidate(version.open(mine).version(), "public")
    assert not [
        name for name in ("schemas", "personal-data", "secrets") if checks.CHECKS.load(name).find(candidate).ids
    ]
