"""Forgetting a row: its words are in no file of the new version, what hangs on it is gone, and neither comes back."""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from seas_data import tables
from seas_data.errors import SeasDataError
from seas_data.query import version as versions
from seas_data.query.version import Version
from seas_data.release import publish_log
from seas_data.release.hub import output
from seas_data.release.takedown import Takedown, take_down
from seas_data.similarity import vector_store
from seas_data.store.stages import RUNS
from seas_data.store.workspace import write_shard

MADE_OF_PROMPTS = ("templates", "splits", "clusters", "embeddings", "expected", "relabels")


def shown_prompt(version: Version) -> str:
    """A kept prompt of train that seeds show, so that there is a lot hanging on it."""
    if version.table("seeds").filter(pl.col("iteration") == 1).is_empty():
        return str(version.table("kept")["prompt_id"][0])
    query = """
        select example as prompt_id from (select unnest(example_ids) as example from seeds where iteration = 1)
        semi join kept on kept.prompt_id = example group by 1 order by count(*) desc, 1 limit 1
    """
    return str(version.select(query)["prompt_id"][0])


def holding(version: Version, words: str) -> list[str]:
    """The tables of which a shard holds the words, in whatever column."""
    found = []
    for table, paths in version.paths().items():
        frames = (pl.read_parquet(path) for path in paths)
        if any(words in str(frame.rows()) for frame in frames):
            found.append(table)
    return found


def references_are_whole(version: Version) -> None:
    """Every id that a table names is there, or has a tombstone."""
    known = "(select prompt_id from prompts union select prompt_id from attacks)"
    asked = {
        "responses": f"select 1 from responses anti join {known} using (prompt_id)",
        "verdicts": "select 1 from verdicts anti join responses using (response_id)",
        "attacks": "select 1 from attacks anti join seeds using (seed_id)",
        "prompts": "select 1 from prompts where seed_id is not null and seed_id not in (select seed_id from seeds)",
        "seeds": f"select 1 from (select unnest(example_ids) as prompt_id from seeds) "
        f"anti join {known} using (prompt_id)",
        "decisions": "select 1 from decisions anti join prompts using (prompt_id)",
        "witnesses": "select 1 from decisions where witness_id is not null and witness_id not in "
        "(select prompt_id from prompts union select prompt_id from tombstones where prompt_id is not null)",
        "kept witnesses": "select 1 from dropped where reason like '%duplicate' "
        "and witness_id not in (select prompt_id from kept)",
        "target pairs": "select 1 from (select unnest([chosen_id, rejected_id]) as response_id from pairs "
        "where role in ('target', 'harmless')) anti join responses using (response_id)",
        "red pairs": f"select 1 from pairs where role = 'red' and "
        f"(chosen_id not in (from {known}) or rejected_id not in (from {known}))",
    }
    broken = {name: version.select(query).height for name, query in asked.items()}
    assert not any(broken.values()), broken


def forget_one(root: Path, prompt_id: str) -> Takedown:
    return take_down(root, [prompt_id], "asked for by its author")


@dataclass(frozen=True)
class Forgotten:
    """A takedown of a prompt that is shown in seeds, in a workspace where a push and a pull were killed."""

    before: Version
    prompt_id: str
    done: Takedown


@pytest.fixture(scope="module")
def forgotten(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Forgotten:
    root = Path(shutil.copytree(made, tmp_path_factory.mktemp("forgotten") / "ws"))
    for name in ("push", "pull"):
        (root / name / "release").mkdir(parents=True)
        (root / name / "release" / "README.md").write_text("words")
    before = versions.open(root).version()
    prompt_id = shown_prompt(before)
    return Forgotten(before, prompt_id, forget_one(root, prompt_id))


def test_nothing_of_a_forgotten_prompt_is_left(forgotten: Forgotten) -> None:
    before, prompt_id, done = forgotten.before, forgotten.prompt_id, forgotten.done
    words = str(before.select("select text from prompts where prompt_id = $id", {"id": prompt_id})["text"][0])
    assert {"prompts", "seeds"} <= set(holding(before, words))
    after = done.version
    assert after.name == "v3" and after.manifest.parent == before.name
    assert after.manifest.iteration == before.manifest.iteration
    assert after.workspace.verify(after.manifest) == []
    assert holding(after, words) == []
    assert holding(after, prompt_id) == ["tombstones"]
    references_are_whole(after)
    assert after.table("tombstones").filter(prompt_id=prompt_id).to_dicts() == [
        {"prompt_id": prompt_id, "response_id": None, "version": "v3", "because": "asked for by its author"}
    ]
    assert done.versions == ["v0", "v1", "v2"]
    assert {"R1", "R2"} <= set(done.models)


def test_what_does_not_hang_on_it_stays_byte_for_byte(forgotten: Forgotten) -> None:
    before, after = forgotten.before, forgotten.done.version
    for table in ("metrics", "settings", "checkpoints", "set_aside"):
        old = before.manifest.tables[table]
        assert after.manifest.tables[table][: len(old)] == old
    for table in tables.TABLES:
        if table in ("tombstones", "set_aside"):
            continue
        old, new = before.table(table), after.table(table)
        assert new.height <= old.height
        keys = [name for name, kind in old.schema.items() if not kind.is_nested()]
        assert new.join(old, on=keys, how="anti", nulls_equal=True).is_empty(), table


@pytest.mark.slow
def test_the_checks_find_no_more_wrong_than_before(mine: Path) -> None:
    from seas_data.release import checks

    before = versions.open(mine).version()
    failing = {check.name for check in checks.run(before, "gated") if not check.passed}
    after = forget_one(mine, shown_prompt(before)).version
    assert {check.name for check in checks.run(after, "gated") if not check.passed} <= failing


@pytest.mark.slow
def test_a_response_goes_alone(mine: Path) -> None:
    before = versions.open(mine).version()
    row = before.select(
        "select response_id, prompt_id, text from responses where text is not null order by response_id limit 1"
    ).row(0)
    done = take_down(mine, [row[0]], "names a person")
    assert done.prompts == [] and done.responses == [row[0]]
    after = done.version
    assert row[0] not in after.table("responses")["response_id"]
    assert row[0] not in after.table("verdicts")["response_id"]
    references_are_whole(after)
    assert after.table("prompts").height == before.table("prompts").height


def rewritten(root: Path, table: str, column: str, value: str, where: pl.Expr) -> Version:
    """Commit a version in which ``column`` of ``table`` has ``value`` in the rows ``where``, and return it."""
    before = versions.open(root).version()
    rows = before.select(f'select * from "{table}"')
    frame = pl.concat([pl.read_parquet(path) for path in before.paths()[table]]).select(tables.empty(table).columns)
    assert rows.height == frame.height
    changed = frame.with_columns(pl.when(where).then(pl.lit(value)).otherwise(column).alias(column))
    shards = before.manifest.tables | {table: [before.workspace.write_shard(table, changed)]}
    name = {"version": f"v{int(before.name[1:]) + 1}", "parent": before.name, "parent_digest": before.digest}
    manifest = before.manifest.model_copy(update=name | {"tables": shards})
    return Version(before.workspace, before.workspace.commit(manifest, pl.DataFrame(schema=RUNS)))


@pytest.mark.slow
def test_of_many_responses_that_say_the_same_only_the_named_one_goes(mine: Path) -> None:
    stock = "I am sorry, but the garden is closed to all of you."
    ids = versions.open(mine).version().table("responses").drop_nulls("text")["response_id"].sort()
    before = rewritten(mine, "responses", "text", stock, pl.col("response_id").is_in(ids[:30].implode()))
    done = take_down(mine, [ids[0]], "names a person")
    after = done.version
    assert after.table("responses").height == before.table("responses").height - 1
    assert done.prompts == [] and done.responses == [ids[0]]
    assert done.alike == ids[1:30].to_list(), "who says the same is told"
    references_are_whole(after)


@pytest.mark.slow
def test_a_remark_that_quotes_the_words_goes_and_its_row_stays(mine: Path) -> None:
    version = versions.open(mine).version()
    prompt_id = shown_prompt(version)
    words = str(version.select("select text from prompts where prompt_id = $id", {"id": prompt_id})["text"][0])
    remarks = {"decisions": "detail", "relabels": "because", "clusters": "label"}
    for table, column in remarks.items():
        before = rewritten(mine, table, column, f"like: {words}", pl.col("prompt_id") != prompt_id)
        assert table in holding(before, words), table
    after = forget_one(mine, prompt_id).version
    assert holding(after, words) == []
    for table in remarks:
        assert after.table(table).height > before.table(table).height // 2, table
    assert set(after.table("kept")["prompt_id"]) <= set(before.table("kept")["prompt_id"])


@pytest.mark.slow
def test_a_shard_from_before_a_column_was_added_is_written_anew(mine: Path) -> None:
    before = versions.open(mine).version()
    prompt_id = shown_prompt(before)
    tables_of = dict(before.manifest.tables)
    (old, *others) = tables_of["prompts"]
    content = pl.read_parquet(before.workspace.shard_path("prompts", old)).drop("source_style")
    bare = write_shard(mine / "shards" / "prompts", content)
    manifest = before.manifest.model_copy(
        update={
            "version": "v3",
            "parent": "v2",
            "parent_digest": before.digest,
            "tables": tables_of | {"prompts": [bare, *others]},
        }
    )
    before.workspace.commit(manifest, pl.DataFrame(schema=RUNS))
    after = forget_one(mine, prompt_id).version
    assert prompt_id not in after.table("prompts")["prompt_id"]


def test_a_reason_that_quotes_the_words_is_refused(mine: Path) -> None:
    version = versions.open(mine).version()
    prompt_id = shown_prompt(version)
    words = str(version.select("select text from prompts where prompt_id = $id", {"id": prompt_id})["text"][0])
    with pytest.raises(SeasDataError, match="the reason quotes the text that is taken down") as raised:
        take_down(mine, [prompt_id], f"they asked us to remove '{words.upper()}'")
    assert words not in str(raised.value) and versions.open(mine).versions() == ["v0", "v1", "v2"]
    assert not (mine / "forgotten.json").exists()


def test_what_a_killed_push_or_pull_left_goes(forgotten: Forgotten) -> None:
    root = forgotten.before.workspace.root
    assert not (root / "push").exists() and not (root / "pull").exists()


def test_nothing_that_is_printed_obeys_the_terminal(forgotten: Forgotten, capsys: pytest.CaptureFixture[str]) -> None:
    done = forgotten.done
    evil = "\x1b[2J\u202e"
    fields = {name: [f"R1{evil}"] for name in ("prompts", "published", "unknown", "models", "alike")}
    output.print_takedown(replace(done, **fields), "ws")
    out = capsys.readouterr().out
    assert "\x1b" not in out and "\u202e" not in out and out.count("R1") == 5


@pytest.mark.slow
def test_who_said_the_same_and_stays_is_named(mine: Path) -> None:
    before = versions.open(mine).version()
    near = before.select(
        "select prompt_id, witness_id from dropped where reason in ('near_duplicate', 'semantic_duplicate') order by 1"
    )
    prompt_id, witness = near.row(0)
    done = forget_one(mine, prompt_id)
    assert done.alike == [witness] and witness not in done.prompts
    assert witness in done.version.table("prompts")["prompt_id"]


@pytest.mark.slow
def test_what_was_published_is_named(mine: Path) -> None:
    entry = {"kind": "dataset", "profile": "public", "digest": "", "full_digest": "", "public": False, "at": ""}
    for tag, version, way in (("1.0.0", "v0", "push"), (None, "v2", "push"), ("9.0.0", "v1", "pull")):
        given = entry | {"repository": "org/set", "tag": tag, "commit": "c" * 40, "version": version, "way": way}
        publish_log.record(mine, publish_log.PublishLogEntry.model_validate(given))
    seen = [("9.0.0", "c" * 40), ("0.9.0", "d" * 40)]
    for tag, commit in seen:
        given = entry | {"repository": "org/set", "tag": tag, "commit": commit, "version": "", "way": "seen"}
        publish_log.record(mine, publish_log.PublishLogEntry.model_validate(given))
    done = forget_one(mine, shown_prompt(versions.open(mine).version("v0")))
    assert done.published == [
        "org/set@1.0.0 (v0, public)",
        "org/set@ccccccc (v2, public)",
        "org/set@9.0.0 (v1, public)",
    ]
    assert done.unknown == ["org/set@0.9.0"], "of the other one it is known"


@pytest.mark.slow
def test_ids_and_reasons_are_checked_first(mine: Path) -> None:
    prompt_id = shown_prompt(versions.open(mine).version())
    for ids, because, said in (
        (["0" * 24], "x", "is in no table"),
        ([prompt_id], "  ", "the reason is missing"),
    ):
        with pytest.raises(SeasDataError, match=said):
            take_down(mine, ids, because)
    assert versions.open(mine).versions() == ["v0", "v1", "v2"]
    forget_one(mine, prompt_id)
    with pytest.raises(SeasDataError, match="already taken down in v3"):
        forget_one(mine, prompt_id)


def build_again(root: Path) -> str:
    from seas_data import recipe
    from seas_data.run import build
    from tests.conftest import EXAMPLE

    return build(recipe.load(EXAMPLE), root).version.name


@pytest.mark.slow
def test_what_was_forgotten_does_not_come_back(example: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(example, tmp_path / "ws"))
    before = versions.open(root).version()
    witness = before.select(
        "select witness_id from dropped where reason = 'exact_duplicate' group by 1 order by count(*) desc, 1 limit 1"
    )["witness_id"][0]
    doubles = before.select("select prompt_id from dropped where witness_id = $id", {"id": witness})["prompt_id"]
    text = before.select("select text from prompts where prompt_id = $id", {"id": witness})["text"][0]
    keys = vector_store.compute_text_keys(pl.Series([text]))
    folder = next(path for path in (root / "vectors").iterdir() if path.is_dir())
    assert vector_store.read_vectors(folder, keys)[0].all()
    done = forget_one(root, witness)
    assert {witness, *doubles} <= set(done.prompts)
    assert not vector_store.read_vectors(folder, keys)[0].any()
    assert vector_store.read_token_counts(folder, keys)["tokens"].to_list() == [None]
    others = vector_store.compute_text_keys(done.version.table("kept")["text"].head(3))
    assert vector_store.read_vectors(folder, others)[0].any(), "other texts keep their vectors"
    assert not (root / "stages").exists()
    references_are_whole(done.version)
    name = build_again(root)
    newest = versions.open(root).version(name)
    assert not newest.table("prompts")["prompt_id"].is_in(done.prompts).any()
    assert holding(newest, text) == []
    assert build_again(root) == name, "and then there is nothing new"
    aside = newest.table("set_aside").filter(reason="forgotten")
    assert aside.height == len(done.prompts)
    assert text not in str(aside.rows())


def test_the_same_words_under_another_id_are_refused(example: Path, tmp_path: Path) -> None:
    from seas_data import recipe
    from seas_data.run import build

    root = Path(shutil.copytree(example, tmp_path / "ws"))
    before = versions.open(root).version()
    prompt_id, text = before.select("select prompt_id, text from kept order by length(text) desc, 1 limit 1").row(0)
    forget_one(root, prompt_id)
    (tmp_path / "more.jsonl").write_text(
        "".join(json.dumps({"prompt": each}) + "\n" for each in (f"  {text.upper()}", "How tall is the garden door?"))
    )
    (tmp_path / "more.yaml").write_text(
        "name: more\nembedders: []\nsources:\n  more: {path: more.jsonl, kind: harmless, language: en}\n"
    )
    after = build(recipe.load(tmp_path / "more.yaml"), root).version
    assert after.select("select text from prompts where source = 'more'")["text"].to_list() == [
        "How tall is the garden door?"
    ]
    assert after.table("set_aside").filter(reason="forgotten", source="more").height == 1
    kept = json.loads((root / "forgotten.json").read_text())
    from seas_data.text import text_digest

    assert text_digest(text) not in str(kept) and (root / "forgotten.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("recorded", [pytest.param("before folding", marks=pytest.mark.slow), "now"])
def test_a_disguised_copy_of_a_forgotten_text_is_refused(example: Path, tmp_path: Path, recorded: str) -> None:
    from seas_data import recipe
    from seas_data.run import build
    from seas_data.store.takedown import _salted_digest
    from seas_data.text import text_digest

    root = Path(shutil.copytree(example, tmp_path / "ws"))
    before = versions.open(root).version()
    prompt_id, text = before.select("select prompt_id, text from kept order by length(text) desc, 1 limit 1").row(0)
    forget_one(root, prompt_id)
    if recorded == "before folding":
        salt = json.loads((root / "forgotten.json").read_text())["salt"]
        content = {"salt": salt, "digests": [_salted_digest(salt, text_digest(text))]}
        (root / "forgotten.json").write_text(json.dumps(content))
    disguised = [
        text,
        "\u200b".join(text),
        text.replace("o", "\u043e"),
        "".join(chr(ord(c) + 0xFEE0) if c.isalpha() and c.isascii() else c for c in text),
    ]
    rows = "".join(json.dumps({"prompt": each}) + "\n" for each in [*disguised, "How tall is the garden door?"])
    (tmp_path / "more.jsonl").write_text(rows)
    (tmp_path / "more.yaml").write_text(
        "name: more\nembedders: []\nsources:\n  more: {path: more.jsonl, kind: harmless, language: en}\n"
    )
    after = build(recipe.load(tmp_path / "more.yaml"), root).version
    assert after.select("select text from prompts where source = 'more'")["text"].to_list() == [
        "How tall is the garden door?"
    ]


def test_takedowns_recorded_before_the_tables_were_pinned_still_hold(tmp_path: Path) -> None:
    import unicodedata

    from seas_data import folding
    from seas_data.store import takedown
    from seas_data.text import content_id, text_digest

    text = "how is the letter \ua7da written on the garden door"  # of Unicode 16: Python 3.11 folds it otherwise
    older = content_id("text", " ".join(unicodedata.normalize("NFC", text).casefold().split()))
    digests = [takedown._salted_digest("salt", older)]
    takedowns = replace(takedown.no_takedowns(), salt="salt", digests=frozenset(digests))
    rows = pl.DataFrame({"prompt_id": ["another id", "other"], "source": "more", "text": [text, "which lamp is best"]})
    rows = rows.with_columns(
        text_digest=pl.Series([text_digest(each) for each in rows["text"]]),
        messages=pl.lit(None, tables.empty("prompts").schema["messages"]),
    )
    kept, refused = takedown.split_taken_down(rows, takedowns)
    assert kept["prompt_id"].to_list() == ["other"] and refused["reason"].to_list() == ["forgotten"]
    takedown.record_texts(tmp_path, [text])
    salt = json.loads((tmp_path / "forgotten.json").read_text())["salt"]
    recorded = json.loads((tmp_path / "forgotten.json").read_text())["digests"]
    assert {
        takedown._salted_digest(salt, text_digest(text)),
        takedown._salted_digest(salt, folding.leak_digest(text)),
    } == {*recorded}


@pytest.mark.slow
def test_takedowns_recorded_under_an_earlier_folding_still_hold(tmp_path: Path) -> None:
    from seas_data import folding, recipe
    from seas_data.run import build
    from seas_data.store.takedown import _salted_digest
    from seas_data.text import content_id

    def write(name: str, *texts: str) -> Path:
        rows = "".join(json.dumps({"prompt": each}) + "\n" for each in texts)
        (tmp_path / f"{name}.jsonl").write_text(rows)
        path = tmp_path / f"{name}.yaml"
        sources = f"sources:\n  {name}: {{path: {name}.jsonl, kind: harmless, language: en}}\n"
        path.write_text(f"name: {name}\nembedders: []\n{sources}")
        return path

    named = "How tall is the g\u0430rden \u1d05oor?"  # a Cyrillic a, and a small capital that version 1 left as it is
    other = "Which lamp is the brightest of the five?"
    version = build(recipe.load(write("first", named, other)), tmp_path / "ws").version
    (prompt_id,) = version.table("prompts").filter(text=named)["prompt_id"]
    forget_one(tmp_path / "ws", prompt_id)
    recorded = json.loads((tmp_path / "ws/forgotten.json").read_text())
    first_form = content_id("text", "how tall is the garden \u1d05oor?")
    assert first_form != folding.leak_digest(named)
    recorded["digests"] = [_salted_digest(recorded["salt"], first_form)]  # as version 1 recorded a disguised text
    (tmp_path / "ws/forgotten.json").write_text(json.dumps(recorded))
    again = named.replace("\u0430", "a"), named.upper().replace(" ", "\u200b ")
    after = build(
        recipe.load(write("more", *again, "Where do the boats land in the evening?")), tmp_path / "ws"
    ).version
    texts = after.select("select text from prompts where source = 'more'")["text"].to_list()
    assert texts == ["Where do the boats land in the evening?"]
    assert after.select("select reason from set_aside where source = 'more'")["reason"].to_list() == ["forgotten"] * 2


@pytest.mark.slow
def test_a_takedown_does_not_depend_on_a_cache_that_can_be_read(mine: Path) -> None:
    version = versions.open(mine).version()
    prompt_id = shown_prompt(version)
    keys = vector_store.compute_text_keys(version.table("prompts", ["text"])["text"].drop_nulls().unique())
    for name in ("vectors", "scans", "stages"):
        shutil.rmtree(mine / name, ignore_errors=True)
    parts = {}
    for damage in ("empty", "garbage", "flipped", "part of another name"):
        folder = mine / "vectors" / f"model {damage}"
        vector_store.write_vectors(folder, keys, np.ones((len(keys), 2), np.float32))
        (part,) = folder.iterdir()
        whole = part.read_bytes()
        if damage == "part of another name":
            part = part.rename(part.with_name("vectors-of-old.parquet"))
        else:
            part.write_bytes({"empty": b"", "garbage": b"garbage" * 40}.get(damage, whole[:-40] + b"?" + whole[-39:]))
        parts[damage] = part
    for cache in ("scans", "stages"):
        (mine / cache / "x").mkdir(parents=True)
        (mine / cache / "x" / "file.parquet").write_bytes(b"garbage")
    assert prompt_id in forget_one(mine, prompt_id).prompts
    assert [damage for damage, part in parts.items() if part.exists()] == []
