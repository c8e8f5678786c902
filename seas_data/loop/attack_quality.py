"""What a red team's prompts are worth as prompts: of the type asked for, whole, different, and how varied.

Where the recipe has embedders, an attack is of the type of the training prompt that it is nearest to, and variety is
the paper's measure. In the sandbox, which has none, the grammar tells both exactly.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seas_data.loop.context import Scene
from seas_data.metrics import evaluate
from seas_data.query.version import Version
from seas_data.similarity import embeddings
from seas_data.similarity.cosine_neighbours import find_nearest


def metrics(scene: Scene, attacks: pl.DataFrame, red: str, train: pl.DataFrame) -> pl.DataFrame:
    """Return the metrics of the red team ``red`` as a writer of ``attacks`` (the table, with seed's type and language).

    ``train``: the prompts of that split, which attacks are compared with.
    """
    whole = attacks.filter(pl.col("reason").is_null()).sort("prompt_id")
    if scene.recipe.sandbox is not None:
        return _by_grammar(attacks, whole, red)
    if not scene.recipe.embedders or whole.is_empty():
        return evaluate.red_team(attacks, red)
    known = train.filter(pl.col("kind") == "adversarial").sort("prompt_id")
    columns = ("prompt_id", "text", "language")
    rows = pl.concat([whole.select(columns), known.select(columns)])
    embedded = embeddings.embed_texts(rows.select("text", "language"), scene.recipe.embedders, scene.workspace.root / "vectors")
    sight = pl.concat([rows, embedded.lookup.select("model", "row")], how="horizontal")
    model = sight.drop_nulls("model").group_by("model").len().sort("len", "model", descending=[True, False])["model"]
    if model.is_empty():
        return evaluate.red_team(attacks, red)
    seen = sight.filter(pl.col("model") == model[0])
    matrix = embedded.matrices[model[0]]
    mine = seen.join(whole, on="prompt_id", how="semi", maintain_order="left")
    theirs = seen.join(known, on="prompt_id", how="semi", maintain_order="left")
    own, others = _rows(matrix, mine), _rows(matrix, theirs)
    parts = []
    types = None
    if len(others):
        closest, _ = find_nearest(own, others)
        kinds = theirs.join(known.select("prompt_id", "type"), on="prompt_id", maintain_order="left")["type"]
        # Next to a prompt that nobody gave a type, nothing is known of it.
        types = mine.select("prompt_id").with_columns(found=kinds[closest]).drop_nulls("found")
        parts.append(evaluate.diversity("diversity", own, others, {"red_team": red, "against": "train"}))
    parts.append(evaluate.diversity("diversity", own, None, {"red_team": red, "against": "itself"}))
    return pl.concat([evaluate.red_team(attacks, red, types), *parts])


def novelty(embeddings: pl.DataFrame, joined: pl.DataFrame, parent: Version, iteration: int) -> pl.DataFrame:
    """Return how close the attacks that joined in ``iteration`` come to their nearest earlier attack, as ``METRICS``.

    ``embeddings`` and ``joined`` are the rows that the iteration adds to ``embeddings`` and ``prompts``; earlier
    attacks are those that ``parent`` keeps. One row, ``novelty``: the highest cosine of each, averaged (lower is
    newer); none where nothing is embedded.
    """
    attacks = joined.filter(pl.col("kind") == "adversarial")
    own = embeddings.join(attacks, on="prompt_id", how="semi").sort("prompt_id")
    if own.is_empty():
        return evaluate.frame([])
    model = own["model"].mode().sort()[0]
    query = "from embeddings semi join (from kept where kind = 'adversarial') using (prompt_id) where model = $model"
    others = parent.select(f"{query} order by prompt_id", {"model": model})
    own = own.filter(pl.col("model") == model)
    return evaluate.diversity("novelty", _matrix(own), _matrix(others), {"iteration": iteration})


def _matrix(embeddings: pl.DataFrame) -> NDArray[np.float32]:
    flat: NDArray[np.float32] = embeddings["vector"].explode().to_numpy(writable=True)
    return flat.reshape(embeddings.height, -1) if embeddings.height else flat.reshape(0, 1)


def _by_grammar(attacks: pl.DataFrame, whole: pl.DataFrame, red: str) -> pl.DataFrame:
    from seas_data.sandbox import grammar

    read = pl.concat([whole.select("prompt_id", "seed_id"), grammar.check(whole["text"])], how="horizontal")
    types = read.select("prompt_id", found="style")
    facets = {"red_team": red}
    entropies = [
        evaluate.metric("phrase_entropy", evaluate.entropy(read[place]), {**facets, "place": place}, n=read.height)
        for place in ("opener", "modifier", "ask", "closer")
    ]
    return pl.concat(
        [
            evaluate.red_team(attacks, red, types),
            evaluate.shares("grammatical", read, "valid", "seed_id", (), facets),
            evaluate.frame(entropies),
        ]
    )


def _rows(matrix: NDArray[np.float32], rows: pl.DataFrame) -> NDArray[np.float32]:
    chosen: NDArray[np.float32] = matrix[rows["row"].to_numpy()]
    return chosen
