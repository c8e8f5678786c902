"""Targets: what lies in a workspace or comes from the Hub (manifests, cards, logs), and recipes."""

import json
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from random import Random
from typing import Any

import yaml

from seas_data import recipe
from seas_data.release import publish_log
from seas_data.release.card import metadata
from seas_data.release.hub import pull
from seas_data.release.hub.remote import RemoteFile
from seas_data.store import open_workspace
from seas_data.store.takedown import record_texts
from seas_data.store.workspace import Manifest, Shard, read_manifest
from tests.fuzz.engine import Target
from tests.fuzz.mutations import TOKENS, dump_json, mutate_bytes, mutate_json

RECIPE: dict[str, Any] = {
    "name": "small",
    "sources": {"rows": {"path": "rows.jsonl", "kind": "general", "licence": "MIT", "columns": {"text": "prompt"}}},
}
LOOP = """
name: loop
sources:
  rows: {hub: org/set, revision: abcdef1, file: a.csv, columns: {kind: k}, kind_map: {a: harmless}, language: en}
embedders: []
curation: {near: {duplicate_threshold: 0.8}, split: {test: 0.1}}
models:
  red: {model: org/red}
  target: {backend: http, model: org/target, url: "http://127.0.0.1:8000/v1", extra_body: {a: [1, 2]}}
judges:
  - {by: rules, unsafe: {words: [velorin]}, refusal: {patterns: ["^No"]}}
  - {by: guard, guard: wildguard, model: target}
training: {red: {lora: {rank: 8}}}
release: {licence: MIT}
"""
ALIASES = "a: &a [x, x]\nb: &b [*a, *a]\nname: small\nmodels: {m: {backend: http, extra_body: {a: *b}}}\n<<: *a\n"
YAML_TOKENS = (
    *TOKENS[:38],
    *(
        "&a ",
        "*a",
        "<<: *a",
        "- ",
        "? ",
        "|\n  ",
        ">-\n",
        "!!binary ",
        "!!set ",
        "!!python/object:os.system ",
        "!!int ",
    ),
    *("2024-02-30", "2024-02-30T99:00:00", "0x" + "f" * 5_000, "1:60:60", "0o8", "1_000", ".inf", "~", "null", "..."),
    *(
        "---\n",
        "%YAML 9.9\n",
        "# a",
        "base: small.yaml\n",
        "$HOME",
        "$SANDBOX/x",
        "~/x",
        "..",
        "name: ",
        "{[",
        "\u0085",
    ),
)
CARD = """---
license: cc-by-4.0
language: [en, de]
tags:
- safety
configs:
- config_name: kept
  data_files: [{split: train, path: data/kept/train-*.parquet}]
version: 1.10
---

# A title

Text of the card.
"""


@cache
def manifests() -> tuple[dict[str, Any], ...]:
    """Return a manifest of a workspace and one of a release."""
    content = recipe.Recipe.model_validate(RECIPE)
    shards = {"prompts": [Shard(sha256="a" * 64, rows=3, bytes=99)], "decisions": []}
    made = Manifest(
        version="v1",
        iteration=1,
        parent="v0",
        parent_digest="b" * 64,
        recipe=content.model_dump(mode="json"),
        recipe_digest=content.digest(),
        tables=shards,
    )
    release = made.model_copy(update={"profile": "public", "full_digest": "c" * 64})
    made, release = (each.model_copy(update={"digest": each.computed_digest()}) for each in (made, release))
    return json.loads(made.to_json()), json.loads(release.to_json())


def make_json(rng: Random, *, values: Callable[[], Sequence[Any]]) -> bytes:
    """Return mutated JSON: half of the time its values, otherwise its bytes."""
    seeds = values()
    value = rng.choice(seeds)
    if rng.random() < 0.6:
        return dump_json(mutate_json(value, rng), rng)
    encoded = [dump_json(each, rng) for each in seeds]
    return mutate_bytes(rng.choice(encoded), encoded, rng)


def check_manifest(data: bytes, folder: Path) -> int:
    """Read a manifest; one that is accepted names nothing outside its workspace and can be verified."""
    root = folder / "workspace"
    workspace = open_workspace(root, create=True)
    path = root / "versions" / "v1.json"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    manifest = read_manifest(path)
    for paths in workspace.shard_paths(manifest.model_copy(update={"parent": None})).values():
        assert all(each.resolve().is_relative_to(root.resolve()) for each in paths), "a path leaves the workspace"
    assert workspace.verify(manifest.model_copy(update={"parent": None}))  # its shards are missing
    return 1


class _Remote:
    """A repository with a manifest."""

    name = "org/set"

    def __init__(self, content: bytes) -> None:
        self.content = content

    def read_file(self, path: str, commit: str) -> bytes:
        return self.content


def check_release(data: bytes, folder: Path) -> int:
    """Read the manifest of a release as ``pull`` does; one that is accepted has its own digest."""
    listed = {"manifest.json": RemoteFile(len(data), None, "0" * 40)}
    manifest = pull._read_manifest(_Remote(data), "0" * 40, listed)  # type: ignore[arg-type]
    assert manifest.digest == manifest.computed_digest()
    assert manifest.profile in ("public", "gated")
    pull._write_recipe(folder, manifest, "org/set@0")
    return 1


def make_card(rng: Random) -> str:
    """Return a card with mutated metadata."""
    data = mutate_bytes(CARD.encode(), [CARD.encode(), LOOP.encode(), ALIASES.encode()], rng, YAML_TOKENS)
    return data.decode("utf-8", "replace")


def check_card(text: str, folder: Path) -> int:
    """Read the metadata of a card on the Hub, update it and write it again: the same metadata is read back."""
    existing, _ = metadata.split(text)
    current = {"license": "mit", "tags": ["safety"], "configs": [{"config_name": "kept"}], "size_categories": ["n<1K"]}
    metadata.differences(existing, current)
    written = metadata.dump(metadata.merge(existing, current))
    again, body = metadata.split(f"---\n{written}---\n\nbody")
    assert again["license"] == "mit"
    assert body.strip() == "body"
    return 1


def check_publish_log(data: bytes, folder: Path) -> int:
    """Read the log of pushes and pulls."""
    (folder / "published.json").write_bytes(data)
    return len(publish_log.read(folder))


def check_takedowns(data: bytes, folder: Path) -> int:
    """Add to the digests of the texts that were taken down: none of those recorded is lost."""
    path = folder / "forgotten.json"
    path.write_bytes(data)
    before = json.loads(data)["digests"] if _is_record(data) else []
    record_texts(folder, ["a text"])
    assert {str(each) for each in before} <= set(json.loads(path.read_bytes())["digests"])
    return 1


def _is_record(data: bytes) -> bool:
    try:
        return isinstance(json.loads(data)["digests"], list)
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def make_recipe(rng: Random) -> tuple[bytes, list[str]]:
    """Return a mutated recipe and perhaps a mutated change of the command line."""
    seeds = [yaml.safe_dump(RECIPE).encode(), LOOP.encode(), ALIASES.encode()]
    if rng.random() < 0.3:
        data = dump_json(mutate_json(_loop(), rng), rng)
    else:
        data = mutate_bytes(rng.choice(seeds[:2]), seeds, rng, YAML_TOKENS)
    change = rng.choice((b"curation.near.duplicate_threshold=0.9", b"models.m={model: a/b}", b"name=x", b"loop={}"))
    change = mutate_bytes(change, seeds, rng, YAML_TOKENS)[:300]
    return data, [change.decode("utf-8", "replace")] if rng.random() < 0.3 else []


@cache
def _loop() -> Any:
    return yaml.safe_load(LOOP)


def check_recipe(given: tuple[bytes, list[str]], folder: Path) -> int:
    """Load a recipe; one that is accepted has a digest and can be stored and read again as the same."""
    data, changes = given
    path = folder / "small.yaml"
    path.write_bytes(data)
    loaded = recipe.load(path, changes)
    stored = json.loads(json.dumps(loaded.model_dump(mode="json")))
    try:
        again = recipe.Recipe.model_validate(stored)
    except ValueError as problem:
        raise AssertionError(f"the stored recipe is refused: {str(problem)[:200]}") from problem
    assert again.digest() == loaded.digest()
    return 1


def targets() -> list[Target]:
    """Return the targets of this module."""
    entry = {
        **{"way": "push", "kind": "dataset", "repository": "org/set", "tag": "1.0.0", "commit": "a" * 40},
        **{"version": "v0", "profile": "public", "digest": "b", "full_digest": "c", "public": True, "at": "2026"},
    }
    digests = {"salt": "0" * 32, "digests": ["a" * 24, "b" * 24]}
    return [
        Target("manifest", partial(make_json, values=manifests), check_manifest, 40),
        Target("release manifest", partial(make_json, values=manifests), check_release, 40),
        Target("publish log", partial(make_json, values=lambda: [[entry, entry]]), check_publish_log, 20),
        Target("taken-down texts", partial(make_json, values=lambda: [digests]), check_takedowns, 10),
        Target("card metadata", make_card, check_card, 10),
        Target("recipe", make_recipe, check_recipe, 10),
    ]
