"""Token sampler: each answer has random numbers of its own, so it does not depend on the answers generated beside it.

The numbers of an answer follow from its key (request, sample number, text sent) and the sampling's seed. One number is
used at each position, whatever the model: equal requests to equal models get equal answers in any batch, and answers of
two models to one request are drawn with the same numbers, so that they are compared in pairs. What remains is rounding:
the last bits of a model's probabilities depend on the shape of the batch, and a number that falls that close to the
border between two tokens selects the other one.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from seas_data.errors import SeasDataError
from seas_data.models.generation_cache import answer_seed
from seas_data.models.protocol import Sampling

if TYPE_CHECKING:
    from torch import Tensor


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

        probabilities = torch.softmax(scores / self.temperature, -1)
        if self.top_p < 1:
            ranked = _sort(probabilities)
            mass = ranked.cumsum(-1, dtype=torch.float64)
            likelier = mass[:, -1:] - mass
            least = ranked.masked_fill(likelier >= self.top_p, torch.inf).amin(-1, keepdim=True)
            probabilities = probabilities.masked_fill(probabilities < least, 0)
        # In the order of the vocabulary: sorted by probability, rounding would exchange tokens that are equally likely.
        mass = probabilities.cumsum(-1, dtype=torch.float64)
        self._add(mass[:, -1:])
        step = input_ids.shape[1] - self.width
        drawn = torch.searchsorted(mass, self.uniforms[:, step, None] * mass[:, -1:], right=True)
        return torch.full_like(scores, -torch.inf).scatter_(1, drawn.clamp_(max=scores.shape[1] - 1), 0)


def _sort(probabilities: "Tensor") -> "Tensor":
    """Return each row in ascending order. On a CPU NumPy sorts, several times as fast as torch."""
    import torch

    if probabilities.device.type == "cpu":
        return torch.from_numpy(np.sort(probabilities.numpy(), -1))
    return probabilities.sort(-1).values
