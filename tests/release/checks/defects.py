"""Defects of a version, each planted in a copy of the made workspace, and the release check that must find it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from seas_data.query.version import Version
from seas_data.query.version import open as open_versions
from seas_data.store import Shard, files
from seas_data.text import text_digest

Plant = Callable[["Copy"], None]
_LOOP_KEYS = ("sandbox", "loop", "models", "judges", "pairs", "training")  # no part of a recipe without a loop


class Copy:
    """A copy of the made workspace whose newest version can be rewritten."""

    def __init__(self, root: Path):
        self.root = root

    @property
    def version(self) -> Version:
        return open_versions(self.root).version()

    def rewrite(self, table: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
        """Rewrite ``table`` with ``change`` made to its rows."""
        version = self.version
        frame = pl.concat([pl.read_parquet(path) for path in version.paths()[table]])
        shard = version.workspace.write_shard(table, change(frame))
        self._commit(tables=version.manifest.tables | {table: [shard]})

    def declare(self, **sections: Any) -> None:
        """Change sections of the recipe: each value is merged into what stands there."""
        recipe = dict(self.version.manifest.recipe)
        for name, changes in sections.items():
            recipe[name] = {
                key: {**recipe[name].get(key, {}), **value} if isinstance(value, dict) else value
                for key, value in {**recipe[name], **changes}.items()
            }
        self._commit(recipe=recipe)

    def swap_red_team(self, licence: str | None) -> None:
        """Let the first iteration have been played by another red team, which came under ``licence``."""
        place = open_versions(self.root).workspace
        first, second = place.manifest("v1"), place.manifest("v2")
        models = first.recipe["models"] | {
            "red": first.recipe["models"]["red"] | {"model": "before", "licence": licence}
        }
        runs = {
            each.version: pl.read_parquet(place.root / "runs" / f"{each.version}.parquet") for each in (first, second)
        }
        first = place.commit(first.model_copy(update={"recipe": first.recipe | {"models": models}}), runs["v1"])
        place.commit(second.model_copy(update={"parent_digest": first.digest}), runs["v2"])

    def without_loop(self) -> None:
        """Write the newest version as a build of a recipe without a loop would: of the same rows."""
        said = {key: part for key, part in self.version.manifest.recipe.items() if key not in _LOOP_KEYS}
        place, newest = open_versions(self.root).workspace, self.version
        runs = pl.read_parquet(place.root / "runs" / f"{newest.name}.parquet")
        about = {"version": "v3", "parent": newest.name, "parent_digest": newest.digest, "recipe": said}
        place.commit(newest.manifest.model_copy(update=about), runs)

    def _commit(self, **changes: Any) -> None:
        version = self.version
        runs = pl.read_parquet(version.workspace.root / "runs" / f"{version.name}.parquet")
        version.workspace.commit(version.manifest.model_copy(update=changes), runs)


def put(column: str, value: Any, where: pl.Expr) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """Return a change that puts ``value`` into ``column`` of the rows of which ``where`` is true."""
    return lambda frame: frame.with_columns(pl.when(where).then(pl.lit(value)).otherwise(column).alias(column))


def one(copy: Copy, query: str) -> Any:
    """Return the first cell of what a query says, which must have rows."""
    return copy.version.select(query).row(0)[0]


def idle(copy: Copy) -> str:
    """Return a general prompt of train: nothing is made of it, so that a change to it breaks nothing else."""
    return str(one(copy, f"select prompt_id from ({PLACED}) where kind = 'general' and split = 'train' order by all"))


PLACED = "from kept join splits using (prompt_id) left join templates using (prompt_id)"


def leaked_group(copy: Copy) -> None:
    """Put one general prompt into a group of the other side; nobody trains on it or tests with it."""
    group = one(copy, "select group_id from splits where split = 'test' order by all")
    row = idle(copy)
    copy.rewrite("splits", put("group_id", group, pl.col("prompt_id") == row))


def shared_template(copy: Copy) -> None:
    row = one(
        copy,
        f"select prompt_id from ({PLACED}) where split = 'test' and kind = 'adversarial' and template_id is null "
        "order by all",
    )
    template = one(copy, f"select template_id from ({PLACED}) where split = 'train' and template_id is not null")
    copy.rewrite("templates", put("template_id", template, pl.col("prompt_id") == row))


def lost_split(copy: Copy) -> None:
    row = idle(copy)
    copy.rewrite("splits", lambda frame: frame.filter(pl.col("prompt_id") != row))


def holdout_in_train(copy: Copy) -> None:
    held = one(copy, "select prompt_id from prompts where role = 'holdout' order by all")
    copy.rewrite("splits", put("split", "train", pl.col("prompt_id") == held))


def holdout_text_in_train(copy: Copy) -> None:
    """Give a general training prompt the words of a harmless prompt of the holdout."""
    held = one(copy, "select text from prompts where role = 'holdout' and kind = 'harmless' order by all")
    row = idle(copy)
    here = pl.col("prompt_id") == row
    copy.rewrite("prompts", lambda frame: put("text_digest", text_digest(held), here)(put("text", held, here)(frame)))


def harmless_test_in_pair(copy: Copy) -> None:
    test = one(copy, "select prompt_id from splits where split = 'harmless' order by all")
    pair = one(copy, "select pair_id from pairs where role = 'harmless' order by all")
    copy.rewrite("pairs", put("prompt_id", test, pl.col("pair_id") == pair))


def harmless_test_words_in_pair(copy: Copy) -> None:
    test = one(copy, "select text from kept join splits using (prompt_id) where split = 'harmless' order by all")
    pair = one(copy, "select pair_id from pairs where role = 'general' order by all")
    asked = pl.Series([[{"role": "user", "content": test}]])
    here = pl.col("pair_id") == pair
    copy.rewrite(
        "pairs", lambda frame: frame.with_columns(prompt=pl.when(here).then(pl.lit(asked)).otherwise("prompt"))
    )


def holdout_words_in_an_earlier_turn(copy: Copy) -> None:
    """Let a general pair ask a prompt of the holdout first, and something else after it."""
    held = one(copy, "select text from prompts where role = 'holdout' order by all")
    pair = one(copy, "select pair_id from pairs where role = 'general' order by all")
    turns = [{"role": "user", "content": held}, {"role": "assistant", "content": "Yes."}]
    asked = pl.Series([[*turns, {"role": "user", "content": "And then?"}]])
    here = pl.col("pair_id") == pair
    copy.rewrite(
        "pairs", lambda frame: frame.with_columns(prompt=pl.when(here).then(pl.lit(asked)).otherwise("prompt"))
    )


def example_of_test_in_seed(copy: Copy) -> None:
    test = one(copy, "select prompt_id from splits where split = 'test' order by all")
    seed = one(copy, "select seed_id from seeds where split = 'train' order by all")
    ids = pl.concat_list(pl.lit(test), pl.col("example_ids").list.tail(2))
    copy.rewrite(
        "seeds",
        lambda frame: frame.with_columns(
            pl.when(pl.col("seed_id") == seed).then(ids).otherwise("example_ids").alias("example_ids")
        ),
    )


def missing_witness(copy: Copy) -> None:
    near = pl.col("reason") == "near_duplicate"
    copy.rewrite("decisions", lambda frame: put("witness_id", None, near & (near.cum_sum() == 1))(frame))


def dropped_witness(copy: Copy) -> None:
    dropped = one(copy, "select prompt_id from dropped where reason = 'template_cap' order by all")
    near = pl.col("reason") == "near_duplicate"
    copy.rewrite("decisions", lambda frame: put("witness_id", dropped, near & (near.cum_sum() == 1))(frame))


def damaged_shard(copy: Copy) -> None:
    path = copy.version.paths()["attacks"][0]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


def lost_shard(copy: Copy) -> None:
    copy.version.paths()["prompts"][0].unlink()


def odd_value(copy: Copy) -> None:
    """A shard of an unknown verdict, which ``write_shard`` would refuse."""
    as_it_is(copy, "verdicts", lambda frame: frame.with_columns(verdict=pl.lit("perhaps")))


def odd_column(copy: Copy) -> None:
    """A shard with a column that no profile knows, so that it would be published unseen."""
    as_it_is(copy, "verdicts", lambda frame: frame.with_columns(words=pl.lit("what the model answered")))


def as_it_is(copy: Copy, table: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    """Rewrite a table with ``change`` made to its rows, whatever its schema says."""
    version = copy.version
    frame = change(pl.concat([pl.read_parquet(path) for path in version.paths()[table]]))
    temporary = copy.root / "shards" / table / "new"
    files.write_parquet(temporary, frame)
    shard = Shard(sha256=files.sha256(temporary), rows=frame.height, bytes=temporary.stat().st_size)
    temporary.replace(version.workspace.shard_path(table, shard))
    copy._commit(tables=version.manifest.tables | {table: [shard]})


def same_id_twice(copy: Copy) -> None:
    copy._commit(tables=copy.version.manifest.tables | {"settings": copy.version.manifest.tables["settings"] * 2})


def broken_reference(copy: Copy) -> None:
    first = one(copy, "select response_id from verdicts where judge = 'keeper' order by all")
    copy.rewrite(
        "verdicts", put("response_id", "f" * 24, (pl.col("response_id") == first) & (pl.col("judge") == "keeper"))
    )


def share_alike_under_permissive(copy: Copy) -> None:
    copy.rewrite("prompts", put("licence", "CC-BY-SA-4.0", pl.col("source").is_in(["letters", "riddles"])))
    copy.declare(release={"licence": "CC-BY-4.0"})


def incompatible_share_alike(copy: Copy) -> None:
    copy.rewrite("prompts", put("licence", "CC-BY-SA-4.0", pl.col("source") == "letters"))


def unknown_licence(copy: Copy) -> None:
    copy.rewrite("prompts", put("licence", "Castle-1.0", pl.col("source") == "letters"))


def missing_licence(copy: Copy) -> None:
    copy.rewrite("prompts", put("licence", None, pl.col("source") == "letters"))
    copy.declare(sources={"letters": {"licence": None}})


def licence_that_changed(copy: Copy) -> None:
    """The rows came under CC-BY-NC-4.0; that the recipe says MIT now does not take that away."""
    copy.declare(sources={"riddles": {"licence": "MIT"}}, release={"licence": "CC-BY-4.0"})


def model_without_licence(copy: Copy) -> None:
    copy.declare(models={"red": {"licence": None}})


def earlier_model_without_licence(copy: Copy) -> None:
    copy.swap_red_team(None)


def model_of_a_build_before_the_last(copy: Copy) -> None:
    """The newest build has no loop, so its recipe says nothing of models; their rows are there all the same."""
    copy.declare(models={"target": {"licence": None}})
    copy.without_loop()


def judge_without_licence(copy: Copy) -> None:
    copy.declare(models={"guard": {"licence": None}})


def outputs_that_may_not_teach(copy: Copy) -> None:
    copy.declare(models={"guard": {"licence": "llama3"}})


def in_a_prompt(words: str) -> Plant:
    def plant(copy: Copy) -> None:
        row = idle(copy)
        text = f"Please send the soup recipe to {words} today."
        here = pl.col("prompt_id") == row
        copy.rewrite(
            "prompts", lambda frame: put("text_digest", text_digest(text), here)(put("text", text, here)(frame))
        )

    return plant


def in_a_label(words: str) -> Plant:
    """Plant ``words`` in a column that no id or digest covers."""

    def plant(copy: Copy) -> None:
        here = pl.col("prompt_id") == idle(copy)
        copy.rewrite("prompts", put("source_style", f"Soup, see {words}", here))

    return plant


def response_as_prompt(copy: Copy) -> None:
    """Call a pair of the target a red one, and its sides prompts: their words are still the target's."""
    row = copy.version.select("select * from pairs where role = 'red' order by pair_id limit 1")
    words = copy.version.select("select chosen from pairs where role = 'target' order by pair_id limit 1")["chosen"]
    here = pl.col("pair_id") == row["pair_id"][0]
    copy.rewrite(
        "pairs", lambda frame: frame.with_columns(chosen=pl.when(here).then(pl.lit(words)).otherwise("chosen"))
    )


def response_asked_of_the_red_team(copy: Copy) -> None:
    """Let a red pair ask what a target said, in place of its seed."""
    pair = one(copy, "select pair_id from pairs where role = 'red' order by all")
    words = copy.version.select("select chosen from pairs where role = 'target' order by pair_id limit 1")["chosen"]
    here = pl.col("pair_id") == pair
    copy.rewrite(
        "pairs", lambda frame: frame.with_columns(prompt=pl.when(here).then(pl.lit(words)).otherwise("prompt"))
    )


def unreadable_refusals(copy: Copy) -> None:
    """A judge that classes refusals alone, and of which hardly a word could be read."""

    def another(frame: pl.DataFrame) -> pl.DataFrame:
        silent = frame.filter(judge="guard").with_columns(
            judge=pl.lit("keeper of refusals"), verdict=pl.lit(None, pl.String), score=pl.lit(None, pl.Float64)
        )
        read = pl.int_range(pl.len()) % 10 == 0
        return pl.concat(
            [frame, silent.with_columns(refusal=pl.when(read).then(pl.lit("full_refusal")).otherwise(None))]
        )

    copy.rewrite("verdicts", another)
    judge = {"by": "refusal", "name": "keeper of refusals", "model": "guard"}
    copy._commit(recipe=copy.version.manifest.recipe | {"judges": [*copy.version.manifest.recipe["judges"], judge]})


def reward_without_licence(copy: Copy) -> None:
    recipe = copy.version.manifest.recipe
    mart = {"mode": "mart", "mart": {"reward_model": "scorer", "min_reward": 0.0}}
    copy._commit(recipe=recipe | {"models": {**recipe["models"], "scorer": {"model": "scorer"}}, "pairs": mart})


def unparsed_verdicts(copy: Copy) -> None:
    copy.rewrite(
        "verdicts", put("verdict", "unparsed", (pl.col("judge") == "guard") & (pl.int_range(pl.len()) % 10 == 0))
    )


KEY = "AKIA" + "GARDEN0EXAMPLE00"
# One defect for each check, the plainest one.
DEFECTS: dict[str, tuple[str, Plant]] = {
    "a leaked group": ("splits", leaked_group),
    "a holdout row in train": ("held-out", holdout_in_train),
    "a harmless test row in a pair": ("held-out", harmless_test_in_pair),
    "a missing witness": ("witnesses", missing_witness),
    "a damaged shard": ("manifest", damaged_shard),
    "a broken reference": ("references", broken_reference),
    "share-alike under a permissive release": ("licences", share_alike_under_permissive),
    "an unknown licence": ("licences", unknown_licence),
    "a generating model without a licence": ("licences", model_without_licence),
    "an e-mail address": ("personal-data", in_a_prompt("ada@orchard-garden.org")),
    "an API key": ("secrets", in_a_prompt(KEY)),
    "response text in the public profile": ("profile", response_as_prompt),
    "unparsed verdicts over the limit": ("unparsed", unparsed_verdicts),
}

# Other ways in which a check can fail.
MORE: dict[str, tuple[str, Plant]] = {
    "a reward model without a licence": ("licences", reward_without_licence),
    "a refusal judge that cannot be read": ("unparsed", unreadable_refusals),
    "a response in the place of a seed": ("profile", response_asked_of_the_red_team),
    "a holdout text in an earlier turn": ("held-out", holdout_words_in_an_earlier_turn),
    "a template on two sides": ("splits", shared_template),
    "a kept row without a split": ("splits", lost_split),
    "a holdout text in train": ("held-out", holdout_text_in_train),
    "the words of a harmless test row in a pair": ("held-out", harmless_test_words_in_pair),
    "a test row in a seed": ("held-out", example_of_test_in_seed),
    "a dropped witness": ("witnesses", dropped_witness),
    "a lost shard": ("manifest", lost_shard),
    "a value that the schema does not allow": ("schemas", odd_value),
    "a column that the schema does not have": ("schemas", odd_column),
    "an id that stands for two rows": ("unique-ids", same_id_twice),
    "share-alike beside non-commercial": ("licences", incompatible_share_alike),
    "a source without a licence": ("licences", missing_licence),
    "a licence that the rows did not come under": ("licences", licence_that_changed),
    "an earlier model without a licence": ("licences", earlier_model_without_licence),
    "a model without a licence, and a later build without a loop": ("licences", model_of_a_build_before_the_last),
    "a judge without a licence": ("licences", judge_without_licence),
    "outputs that may improve no other model": ("licences", outputs_that_may_not_teach),
    "a telephone number": ("personal-data", in_a_prompt("+44 20 7946 0958")),
    "a token of the Hub": ("secrets", in_a_prompt("hf_" + "a1" * 17)),
}


def garden_secrets(copy: Copy) -> None:
    """Write a key into the style of a row that no other defect touches."""
    row = one(copy, f"select prompt_id from ({PLACED}) where kind = 'general' and split = 'train' order by all desc")
    copy.rewrite("prompts", put("source_style", f"Soup, see {KEY}", pl.col("prompt_id") == row))


# Defects that can be in one version: none touches what another one is found by.
APART: tuple[tuple[str, Plant], ...] = (
    ("splits", leaked_group),
    ("held-out", example_of_test_in_seed),
    ("witnesses", missing_witness),
    ("references", broken_reference),
    ("licences", model_without_licence),
    ("personal-data", in_a_prompt("ada@orchard-garden.org")),
    ("secrets", garden_secrets),
    ("unparsed", unparsed_verdicts),
    ("profile", response_as_prompt),
)
