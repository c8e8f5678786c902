"""Attack quality: the inputs of the metrics that measure attacks as prompts, whatever they achieve.

With embedders, an attack has the type of the nearest training prompt. In the sandbox, which has none, the grammar gives
the type exactly.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seas_data.loop.attacks import select_sent
from seas_data.loop.context import IterationContext
from seas_data.metrics import JoinedAttacks, RedTeamAttacks
from seas_data.query.version import Version
from seas_data.similarity import embeddings
from seas_data.similarity.cosine_neighbours import find_nearest


def describe_attacks(
    context: IterationContext, attacks: pl.DataFrame, red_team: str, train: pl.DataFrame
) -> RedTeamAttacks:
    """Return the evaluation ``attacks`` of ``red_team`` with their types and vectors, as far as those can be computed.

    Input columns: ``attacks`` the table, with the seed's type and ``language``; ``train`` the prompts of that split.
    """
    sent = predict_types(context, select_sent(attacks), train)
    return RedTeamAttacks(red_team, attacks, sent.types, sent.vectors, sent.train_vectors, sent.phrases)


@dataclass(frozen=True)
class TypedAttacks:
    """What is known of attacks as prompts: the fields of ``RedTeamAttacks``."""

    types: pl.DataFrame | None = None
    vectors: NDArray[np.float32] | None = None
    train_vectors: NDArray[np.float32] | None = None
    phrases: pl.DataFrame | None = None


def predict_types(context: IterationContext, attacks: pl.DataFrame, train: pl.DataFrame) -> TypedAttacks:
    """Return the types and vectors of ``attacks``, as far as those can be computed.

    Input columns: ``attacks`` prompt_id, seed_id, text, language; ``train`` prompt_id, kind, type, text, language.
    """
    valid = attacks.sort("prompt_id")
    if context.recipe.sandbox is not None:
        from seas_data.sandbox import grammar

        parsed = grammar.parse_prompts(valid["text"])
        phrases = pl.concat([valid.select("prompt_id", "seed_id"), parsed], how="horizontal")
        types = phrases.select("prompt_id", predicted="style")
        return TypedAttacks(types=types, phrases=phrases)
    plain = TypedAttacks()
    if not context.recipe.embedders or valid.is_empty():
        return plain
    train_attacks = train.filter(pl.col("kind") == "adversarial").sort("prompt_id")
    columns = ("prompt_id", "text", "language")
    rows = pl.concat([valid.select(columns), train_attacks.select(columns)])
    folder = context.workspace.root / "vectors"
    embedded = embeddings.embed_texts(rows.select("text", "language"), context.recipe.embedders, folder)
    lookup = pl.concat([rows, embedded.lookup.select("model", row="mean")], how="horizontal")
    counts = lookup.drop_nulls("model").group_by("model").len().sort("len", "model", descending=[True, False])
    if counts.is_empty():
        return plain
    model = counts["model"][0]
    seen = lookup.filter(pl.col("model") == model)
    own_rows = seen.join(valid, on="prompt_id", how="semi", maintain_order="left")
    train_rows = seen.join(train_attacks, on="prompt_id", how="semi", maintain_order="left")
    matrix = embedded.matrices[model]
    own, others = matrix[own_rows["row"].to_numpy()], matrix[train_rows["row"].to_numpy()]
    predicted = None
    if len(others):
        closest, _ = find_nearest(own, others)
        typed = train_rows.join(train_attacks.select("prompt_id", "type"), on="prompt_id", maintain_order="left")
        # An attack whose nearest prompt has no type is left out.
        predicted = own_rows.select("prompt_id").with_columns(predicted=typed["type"][closest]).drop_nulls("predicted")
    return TypedAttacks(types=predicted, vectors=own, train_vectors=others)


def describe_joined_attacks(
    embedded: pl.DataFrame, joined: pl.DataFrame, parent: Version, iteration: int
) -> JoinedAttacks:
    """Return the vectors of the attacks that joined in ``iteration``, and of the attacks that ``parent`` keeps.

    ``embedded`` and ``joined`` are the rows that the iteration adds to ``embeddings`` and ``prompts``. The vectors are
    those of the embedder with the most joined attacks; there are none if nothing is embedded.
    """
    attacks = joined.filter(pl.col("kind") == "adversarial")
    own = embedded.join(attacks, on="prompt_id", how="semi").sort("prompt_id")
    if own.is_empty():
        return JoinedAttacks(iteration, _to_matrix(own), _to_matrix(own))
    model = own["model"].mode().sort()[0]
    query = "from embeddings semi join (from kept where kind = 'adversarial') using (prompt_id) where model = $model"
    others = parent.select(f"{query} order by prompt_id", {"model": model})
    return JoinedAttacks(iteration, _to_matrix(own.filter(pl.col("model") == model)), _to_matrix(others))


def _to_matrix(embedded: pl.DataFrame) -> NDArray[np.float32]:
    flat: NDArray[np.float32] = embedded["vector"].explode().to_numpy(writable=True)
    return flat.reshape(embedded.height, -1) if embedded.height else flat.reshape(0, 1)
