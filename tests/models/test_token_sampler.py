from math import sqrt

import numpy as np
import pytest
import torch

from seas_data.errors import SeasDataError
from seas_data.models import token_sampler
from seas_data.models.protocol import Sampling
from seas_data.models.token_sampler import TokenSampler, draw_uniforms, keep_likeliest
from tests.conftest import quick

LOGITS = torch.tensor([2.0, -1.0, 0.5, 0.5, 1.5, -3.0, 0.0, 1.0])


def draw(sampling: Sampling, count: int, logits: torch.Tensor = LOGITS, steps: int = 1) -> np.ndarray:
    """Return the tokens of ``count`` answers at ``steps`` positions, at which all have the same ``logits``."""
    uniforms = torch.from_numpy(draw_uniforms(sampling, [f"answer {n}" for n in range(count)], steps))
    sampler = TokenSampler(sampling, uniforms, width=3)
    scores = logits.expand(count, -1)
    tokens = [sampler(torch.zeros(count, 3 + step), scores.clone()).argmax(1) for step in range(steps)]
    sampler.require_numbers("T0")
    return torch.stack(tokens, 1).numpy()


def expected(sampling: Sampling) -> np.ndarray:
    """Return the probabilities by their definition: the fewest likeliest tokens that have ``top_p`` together."""
    probabilities = np.exp(LOGITS.numpy().astype(np.float64) / sampling.temperature)
    probabilities /= probabilities.sum()
    order = np.argsort(-probabilities, kind="stable")
    kept = order[: int(np.searchsorted(probabilities[order].cumsum(), sampling.top_p - 1e-9)) + 1]
    least = probabilities[kept].min()
    return np.where(probabilities >= least, probabilities, 0) / probabilities[probabilities >= least].sum()


@pytest.mark.parametrize("temperature", quick(1, [0.8, 0.3, 1.5]))
@pytest.mark.parametrize("top_p", [0.2, 0.7, 0.9, 1.0])
def test_tokens_have_the_distribution_of_the_softmax(temperature: float, top_p: float) -> None:
    """Chi-square of 24,000 draws: at most 3.5 standard deviations above its mean, and no token outside of top-p."""
    sampling = Sampling(temperature=temperature, top_p=top_p, seed=7)
    tokens = draw(sampling, 6000, steps=4)
    chances = expected(sampling)
    counts = np.bincount(tokens.ravel(), minlength=len(chances))
    assert counts[chances == 0].sum() == 0
    possible = chances > 0
    awaited = chances[possible] * tokens.size
    freedom = int(possible.sum()) - 1
    assert ((counts[possible] - awaited) ** 2 / awaited).sum() <= freedom + 3.5 * sqrt(2 * freedom)


def test_positions_and_answers_are_independent() -> None:
    """Correlation of a position with the next, and of an answer with the next, over 40,000 numbers: within 0.02."""
    numbers = draw_uniforms(Sampling(), [f"answer {n}" for n in range(2000)], 20)
    assert abs(np.corrcoef(numbers[:, :-1].ravel(), numbers[:, 1:].ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(numbers[:-1].ravel(), numbers[1:].ravel())[0, 1]) < 0.02
    assert numbers.min() >= 0 and numbers.max() < 1 and abs(numbers.mean() - 0.5) < 0.005


def test_the_numbers_of_an_answer_follow_from_its_key_and_the_seed_alone() -> None:
    numbers = draw_uniforms(Sampling(seed=1), ["a", "b"], 9)
    assert (draw_uniforms(Sampling(seed=1), ["c", "b", "a"], 4)[[2, 1]] == numbers[:, :4]).all()
    assert not (draw_uniforms(Sampling(seed=2), ["a", "b"], 9) == numbers).any()
    assert draw_uniforms(Sampling(), [], 4).shape == (0, 4)


def test_rounding_and_a_masked_token_change_no_draw() -> None:
    """Noise of 1e-6 in the logits changes at most 1 of 20,000 tokens; minus infinity is never drawn."""
    sampling = Sampling(seed=3)
    tokens = draw(sampling, 5000, steps=4)
    noise = torch.from_numpy(np.random.default_rng(0).normal(0, 1e-6, 8)).float()
    assert (draw(sampling, 5000, LOGITS + noise, steps=4) != tokens).sum() <= 1
    masked = LOGITS.clone()
    masked[0] = -torch.inf
    assert 0 not in draw(sampling, 500, masked)


def test_a_probability_that_is_not_a_number_is_an_error() -> None:
    broken = LOGITS.clone()
    broken[2] = torch.nan
    with pytest.raises(SeasDataError, match="T0 computes probabilities that are not numbers"):
        draw(Sampling(), 3, broken)


@pytest.mark.parametrize("spread", [0.0, 0.5, 2.0, 6.0])
@pytest.mark.parametrize("top_p", [0.1, 0.5, 0.9, 0.999])
def test_the_likeliest_tokens_of_a_large_vocabulary_are_those_of_sorting_all(
    spread: float, top_p: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where many tokens are equally likely, where the likeliest are not enough, and where all are equal."""
    logits = torch.from_numpy(np.random.default_rng(0).normal(0, spread, (20, 3000)).round(1)).float()
    probabilities = torch.softmax(logits, -1)
    kept, tokens = keep_likeliest(probabilities, top_p)
    whole = kept if tokens is None else torch.zeros_like(probabilities).scatter_(1, tokens, kept)
    monkeypatch.setattr(token_sampler, "LIKELIEST", 3000)
    from_all, none = keep_likeliest(probabilities, top_p)
    assert none is None and torch.equal(whole, from_all)
    reached = {0.0: 0.0, 0.5: 0.1, 2.0: 0.9, 6.0: 0.999}  # the highest top-p for which 1,024 tokens are enough
    assert (tokens is not None) == (top_p <= reached[spread])
    if tokens is not None:
        assert tokens.shape == (20, 1024) and bool((tokens.diff(dim=1) > 0).all())
