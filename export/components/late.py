"""Late fusion: what detectors of several techniques say of one sample, added up as log-odds.

Each source has a detector of its own, taught by itself, and none needs the others' data: a station may lack one, or
have a spoilt one. By Bayes' rule, of sources that are independent given what a sample holds,
log-odds(compound | all) = sum of log-odds(compound | source) - (sources - 1) log-odds(compound); Hinton, Neural Comput.
14, 1771 (2002), calls such sums products of experts. Sources of one sample are not quite independent: a trace is faint
in all of them. So limits belong to what is fused, and are chosen on fused log-odds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from export.errors import DataUnusable

Numbers = NDArray[np.float64]
Bools = NDArray[np.bool_]
HEATS = (-3.0, 8.0)  # logarithms of the temperatures that are tried: a source that says nothing wants the hottest


def temperature(logits: NDArray[np.floating], present: Bools) -> float:
    """Return what logits [n, c] are to be divided by, so that they are log-odds of `present` [n, c].

    One number for all compounds, by the cross-entropy of samples that taught nothing (Guo et al., ICML 2017).
    """
    sign = np.where(present, 1.0, -1.0)

    def loss(log_t: float) -> float:
        return float(np.logaddexp(0.0, -sign * logits / np.exp(log_t)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=HEATS, method="bounded").x))


def prior_log_odds(present: Bools) -> Numbers:
    """Return the log-odds of each compound before anything is measured [c], from samples [n, c]; finite for a compound
    of all samples or none."""
    with_it = present.sum(axis=0) + 0.5
    return np.asarray(np.log(with_it) - np.log(len(present) + 1.0 - with_it))


def fused_log_odds(says: NDArray[np.floating], valid: Bools, prior: NDArray[np.floating]) -> Numbers:
    """Return the log-odds [n, c] that all valid sources together give.

    says [s, n, c]: calibrated log-odds of each source, each with the prior in it. valid [s, n]: whether the source
    counts for the sample; what an invalid one says is not looked at and may be nan. prior [c]: log-odds before anything
    is measured. With one valid source that source's own, to the bit; with none the prior.
    Raises DataUnusable where the shapes do not agree.
    """
    says, valid, prior = np.asarray(says, dtype=np.float64), np.asarray(valid, dtype=bool), np.asarray(prior)
    if says.ndim != 3 or valid.shape != says.shape[:2] or prior.shape != says.shape[2:]:
        raise DataUnusable(
            f"log-odds {says.shape}, validity {valid.shape} and prior {prior.shape} do not agree",
            hint="[sources, samples, compounds], [sources, samples] and [compounds]",
        )
    heard = np.where(valid[:, :, None], says, 0.0).sum(axis=0)
    return np.asarray(heard - (valid.sum(axis=0) - 1.0)[:, None] * prior)
