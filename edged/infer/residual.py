"""Whether a spectrum fits the class that it is said to be as well as that class's own scans do. Any thread.

The graph gives the distance of the spectrum to the class's own subspace, whitened by the noise that was measured. Its
law is not assumed: it is compared with the same distance of `n` scans of the class that no subspace was fitted to,

    p = (1 + number of held-out residuals >= observed) / (n + 1)

which is at most alpha in a share alpha of true claims, whatever the law, as long as new scans are like the held-out
ones (Vovk et al. 2005, "Algorithmic Learning in a Random World", 2.3).
"""

from __future__ import annotations

from bisect import bisect_left

from edged.bundle.manifest import Levels


def p_value(observed: float, levels: Levels) -> float:
    """Return p for one finite residual.

    Between two quantiles the number of larger residuals falls linearly. Where every residual is a quantile, p is exact
    at each of them and at most 1 / (n + 1) too large between two: a true claim is not refused for it.
    """
    return (1.0 + _as_large(observed, levels)) / (levels.n + 1.0)


def _as_large(observed: float, levels: Levels) -> float:
    quantiles, n = levels.quantiles, levels.n
    above = bisect_left(quantiles, observed)
    if above == 0:
        return float(n)
    if above == len(quantiles):
        return 0.0
    low, high = quantiles[above - 1], quantiles[above]
    steps = above - 1 + (observed - low) / (high - low)
    return n - steps * (n - 1) / (len(quantiles) - 1)
