"""Confidence intervals of proportions and differences, agreement of raters, and correction for errors of a judge.

The 95 % intervals are valid where the usual ones fail: at 0 and 1 (Wilson), for rows in clusters that are not
independent (design effect), and for rates that an imperfect judge measured (Rogan and Gladen). All are closed forms;
none samples at random.
"""

from collections.abc import Sequence
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

Z = 1.959963984540054
"""The 97.5 % point of the normal distribution: two-sided 95 %."""


def wilson(successes: float, n: float) -> tuple[float, float]:
    """Return the 95 % score interval of the proportion ``successes / n``.

    Its lower end is 0 at 0 successes and its upper end 1 at ``n`` successes, but it never has width 0. ``n`` may be an
    effective number, so both may be fractions. Without observations it is (0, 1).

    Source: Wilson (1927), Journal of the American Statistical Association 22:209.
    """
    if n <= 0:
        return 0.0, 1.0
    proportion = min(max(successes / n, 0.0), 1.0)
    centre = (proportion + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * sqrt(proportion * (1 - proportion) / n + Z**2 / (4 * n**2))
    low = 0.0 if proportion == 0 else max(centre - half, 0.0)
    high = 1.0 if proportion == 1 else min(centre + half, 1.0)
    return low, high


def design_effect(values: ArrayLike, clusters: ArrayLike) -> float:
    """Return the factor by which clusters inflate the variance of the mean of ``values`` over independent rows.

    ``values`` are numbers or booleans, ``clusters`` the cluster of each; both have the same length. The variance with
    clusters is that of the mean as a ratio of cluster totals (linearised), the other is s² / n. The factor is exactly 1
    if every row is its own cluster. If the values or the clusters do not vary, the similarity within clusters cannot be
    estimated: rows of a cluster are assumed to be equal, which gives n over the number of clusters.

    Source: Kish (1965), Survey Sampling, sections 5.4 and 6.5.
    """
    numbers = np.asarray(values, dtype=np.float64)
    names, cluster = np.unique(np.asarray(clusters), return_inverse=True)
    n, count = len(numbers), len(names)
    if n == 0:
        return 1.0
    residuals = numbers - numbers.mean()
    if count == 1 or np.ptp(numbers) == 0:
        return n / count
    totals = np.bincount(cluster, weights=residuals, minlength=count)
    clustered = count / (count - 1) * float(totals @ totals) / n**2
    independent = float(residuals @ residuals) / (n - 1) / n
    return clustered / independent


def effective_interval(successes: ArrayLike, clusters: ArrayLike) -> tuple[float, float]:
    """Return the 95 % interval of the proportion of true ``successes`` among rows in ``clusters``.

    It is Wilson's on ``effective_n``, which is the number of clusters if all rows agree: 40 safe answers to one prompt
    are one observation.

    Source: Dean and Pagano (2015), Journal of Survey Statistics and Methodology 3:484.
    """
    flags = np.asarray(successes, dtype=np.float64)
    if len(flags) == 0:
        return 0.0, 1.0
    n = effective_n(flags, clusters)
    return wilson(float(flags.mean()) * n, n)


def effective_n(values: ArrayLike, clusters: ArrayLike) -> float:
    """Return the effective number of independent rows: n over the design effect, which is at least 1.

    It is at least 1, and 0 without rows.
    """
    numbers = np.asarray(values, dtype=np.float64)
    return max(len(numbers) / max(design_effect(numbers, clusters), 1.0), 1.0) if len(numbers) else 0.0


def paired_interval(changes: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return the mean of ``changes`` (one or more paired differences, from -1 to 1) and its 95 % interval.

    The interval is that of Agresti and Min with half an observation added to each of the four outcomes, so it has a
    width even if nothing differs.

    Source: Agresti and Min (2005), Statistics in Medicine 24:729.
    """
    n = len(changes) + 2
    centre = float(changes.sum()) / n
    half = Z * sqrt(max((float(changes @ changes) + 1) / n - centre**2, 0.0) / n)
    return float(changes.mean()), max(centre - half, -1.0), min(centre + half, 1.0)


def cohen_kappa(
    first: Sequence[object] | NDArray[np.generic],
    second: Sequence[object] | NDArray[np.generic],
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
) -> tuple[float, float, float] | None:
    """Return Cohen's kappa of two raters of the same rows (1 is perfect, 0 is chance) and its 95 % interval.

    Rows may have ``weights`` and ``clusters``, as in ``weighted_proportion``. The interval is Cohen's, which treats the
    agreement by chance as fixed, with Wilson's ends instead of normal ones, so it has a width even if the raters always
    agree. None if kappa is undefined: there are no rows, or both raters gave the same label to all of them.

    Source: Cohen (1960), Educational and Psychological Measurement 20:37, equations 3 and 7.
    """
    if len(first) == 0:
        return None
    left, right = np.asarray(first, dtype=np.str_), np.asarray(second, dtype=np.str_)
    weight = np.ones(len(left)) if weights is None else np.asarray(weights, dtype=np.float64)
    labels, codes = np.unique(np.concatenate([left, right]), return_inverse=True)
    one, two = (
        np.bincount(side, weights=weight, minlength=len(labels)) for side in (codes[: len(left)], codes[len(left) :])
    )
    if len(labels) == 1:
        return None
    chance = float(one @ two) / float(weight.sum()) ** 2
    observed, n = weighted_proportion(left == right, weight, np.arange(len(left)) if clusters is None else clusters)
    low, high = wilson(observed * n, n)
    return (observed - chance) / (1 - chance), (low - chance) / (1 - chance), (high - chance) / (1 - chance)


def weighted_proportion(flags: ArrayLike, weights: ArrayLike, clusters: ArrayLike) -> tuple[float, float]:
    """Return the weighted proportion of true ``flags`` and its effective number of independent rows.

    The weight of a row is one over the probability with which it was sampled. The effective number is Kish's, (sum of
    weights)² / (sum of squared weights), over the design effect of the ``clusters`` (at least 1); if all rows agree it
    is at most the number of clusters. There must be at least one row.

    Source: Kish (1965), Survey Sampling, sections 6.5 and 11.7.
    """
    flag, weight = np.asarray(flags, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    proportion = float(flag @ weight / weight.sum())
    n = float(weight.sum() ** 2 / (weight @ weight))
    names, cluster = np.unique(np.asarray(clusters), return_inverse=True)
    count = len(names)
    if count == 1 or np.ptp(flag) == 0:
        return proportion, min(n, float(count))
    residuals = weight * (flag - proportion)
    totals = np.bincount(cluster, weights=residuals, minlength=count)
    clustered = count / (count - 1) * float(totals @ totals)
    independent = len(flag) / (len(flag) - 1) * float(residuals @ residuals)
    return proportion, max(n / max(clustered / independent, 1.0), 1.0)


def rogan_gladen(rate: float, sensitivity: float, specificity: float) -> float | None:
    """Return the true rate, in [0, 1], if a judge of this sensitivity and specificity measured ``rate``.

    None if sensitivity + specificity <= 1: such a judge is no better than chance.

    Source: Rogan and Gladen (1978), American Journal of Epidemiology 107:71.
    """
    if sensitivity + specificity <= 1:
        return None
    return min(max((rate + specificity - 1) / (sensitivity + specificity - 1), 0.0), 1.0)


def rogan_gladen_interval(
    rate: float, n: float, sensitivity: float, positives: float, specificity: float, negatives: float
) -> tuple[float, float] | None:
    """Return the 95 % interval of ``rogan_gladen``, including the sampling error of the gold set.

    ``rate`` was measured on ``n`` rows (an effective number if they are clustered), ``sensitivity`` on ``positives``
    rows that people labelled positive, ``specificity`` on ``negatives`` other rows. None if the judge, after the
    correction for small samples, is no better than chance.

    Source: Lang and Reiczigel (2014), Preventive Veterinary Medicine 113:13, equations 4, 6, 7, 16 and 17, with
    (1 - prevalence)² in equation 4.
    """
    seen, seen_n = (n * rate + Z**2 / 2) / (n + Z**2), n + Z**2
    sensitive, sensitive_n = (positives * sensitivity + 1) / (positives + 2), positives + 2
    specific, specific_n = (negatives * specificity + 1) / (negatives + 2), negatives + 2
    gain = sensitive + specific - 1
    if gain <= 0 or sensitivity + specificity <= 1:
        return None
    true = (seen + specific - 1) / gain
    of_sensitivity = sensitive * (1 - sensitive) / sensitive_n
    of_specificity = specific * (1 - specific) / specific_n
    shift = 2 * Z**2 * (true * of_sensitivity - (1 - true) * of_specificity)
    variance = seen * (1 - seen) / seen_n + true**2 * of_sensitivity + (1 - true) ** 2 * of_specificity
    half = Z * sqrt(variance) / gain
    return min(max(true + shift - half, 0.0), 1.0), min(max(true + shift + half, 0.0), 1.0)
