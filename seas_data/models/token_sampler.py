"""Token sampler: each answer has random numbers of its own, so it does not depend on the answers generated beside it.

The numbers of an answer follow from its key (request, sample number, text sent) and the sampling's seed. One number is
used at each position, whatever the model: equal requests to equal models get equal answers in any batch, and answers of
two models to one request are drawn with the same numbers, so that they are compared in pairs. What remains is rounding:
the last bits of a model's probabilities depend on the shape of the batch, and a number that falls that close to the
border between two tokens selects the other one.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from seas_data.errors import SeasDataError
from seas_data.models.generation_cache import answer_seed
from seas_data.models.protocol import Sampling

if TYPE_CHECKING:
    from torch import Tensor


LIKELIEST: Final = 1024
"""The tokens among which those that top-p keeps are looked for first, as sorting all takes several times as long."""


def draw_uniforms(sampling: Sampling, row_keys: Sequence[str], steps: int) -> NDArray[np.float64]:
    """Return ``steps`` numbers in [0, 1) for each of ``row_keys``; fewer steps give the first of the same numbers."""
    bits = [np.random.Philox(key=answer_seed(sampling, key)).random_raw(steps) for key in row_keys]
    return (np.array(bits, np.uint64).reshape(len(row_keys), steps) >> 12) / 2.0**52


class NumberCheck:
    """Logits processor that changes nothing and finds out whether the logits are numbers."""

    def __init__(self) -> None:
        self.total: Tensor | None = None
        """A sum over all steps for each row: not a number if one of its logits or probabilities was not."""

    def __call__(self, input_ids: "Tensor", scores: "Tensor") -> "Tensor":
        """Check the greatest of each row of ``scores``, and return them unchanged."""
        self._add(scores.amax(-1, keepdim=True).double())
        return scores

    def require_numbers(self, name: str) -> None:
        """Raise SeasDataError if a logit or probability of the model ``name`` was not a number."""
        if self.total is not None and not bool(self.total.isfinite().all()):
            raise SeasDataError(
                f"{name} computes probabilities that are not numbers; its checkpoint is damaged, or its weights need "
                "another precision"
            )

    def _add(self, values: "Tensor") -> None:
        self.total = values if self.total is None else self.total + values


class TokenSampler(NumberCheck):
    """Logits processor that draws the next token of each row and leaves it as the only one that is possible.

    It takes the place of the sampling of ``generate``, which is called without (``do_sample=False``). Temperature and
    top-p are those of ``sampling``: the likeliest tokens are kept up to the first whose predecessors reach ``top_p``,
    and all that are as likely as the last one.
    """

    def __init__(self, sampling: Sampling, uniforms: "Tensor", width: int) -> None:
        super().__init__()
        self.temperature, self.top_p = sampling.temperature, sampling.top_p
        self.uniforms, self.width = uniforms, width

    def __call__(self, input_ids: "Tensor", scores: "Tensor") -> "Tensor":
        """Return ``scores`` of which only the drawn token of each row is not minus infinity."""
        import torch

        probabilities, tokens = torch.softmax(scores / self.temperature, -1), None
        if self.top_p < 1:
            probabilities, tokens = keep_likeliest(probabilities, self.top_p)
        # In the order of the vocabulary: sorted by probability, rounding would exchange tokens that are equally likely.
        mass = probabilities.cumsum(-1, dtype=torch.float64)
        self._add(mass[:, -1:])
        step = input_ids.shape[1] - self.width
        drawn = torch.searchsorted(mass, self.uniforms[:, step, None] * mass[:, -1:], right=True)
        drawn = drawn.clamp_(max=mass.shape[1] - 1)
        if tokens is not None:
            drawn = tokens.gather(-1, drawn)
        return torch.full_like(scores, -torch.inf).scatter_(1, drawn, 0)


def keep_likeliest(probabilities: "Tensor", top_p: float) -> tuple["Tensor", "Tensor | None"]:
    """Return ``probabilities`` with zeros for all that top-p leaves out, and the tokens of the columns.

    Kept is each token with the probability of the last one that is needed to reach ``top_p``, or a higher one. Nearly
    always the kept tokens are among the ``LIKELIEST``: only these are returned then, in the order of the vocabulary.
    Otherwise all columns are (and None for their tokens).
    """
    if probabilities.shape[-1] > 2 * LIKELIEST:
        ranked, tokens = probabilities.topk(LIKELIEST, sorted=True)
        least = _find_least(ranked, top_p)
        if bool((least > ranked[:, -1:]).all()):  # so no token outside is as likely as a kept one
            tokens = tokens.sort(-1).values
            chosen = probabilities.gather(-1, tokens)
            return chosen.masked_fill(chosen < least, 0), tokens
    least = _find_least(_sort(probabilities), top_p)
    return probabilities.masked_fill(probabilities < least, 0), None


def _find_least(ranked: "Tensor", top_p: float) -> "Tensor":
    """Return the lowest probability that is kept of each row of ``ranked``, which are in descending order."""
    import torch

    likelier = ranked.cumsum(-1, dtype=torch.float64) - ranked
    return ranked.masked_fill(likelier >= top_p, torch.inf).amin(-1, keepdim=True)


def _sort(probabilities: "Tensor") -> "Tensor":
    """Return each row in descending order. On a CPU NumPy sorts, several times as fast as torch."""
    import torch

    if probabilities.device.type == "cpu":
        return torch.from_numpy(-np.sort(-probabilities.numpy(), -1))
    return probabilities.sort(-1, descending=True).values
