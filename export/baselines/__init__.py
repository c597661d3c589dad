"""Classical models on the same spectra and splits as the networks: the bar that these are held to, or what is shipped.

Each is tuned inside the rows it is given only, leaving whole groups out, and becomes a head that exports into the graph
of a bundle. One file a model; `catalogue` names them all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from export.baselines.catalogue import LdaWords, PlsDaWords, SvmWords
from export.baselines.tuning import Targets, Values

BASELINES: Mapping[str, SvmWords | LdaWords | PlsDaWords] = {
    "SVM": SvmWords(linear_costs=(0.01, 0.1, 1.0), rbf_costs=(10.0, 100.0), widths=(1.0,)),
    "LDA": LdaWords(shrinkages=(1e-5, 1e-4, 1e-3, 1e-2, 1e-1)),
    "PLS-DA": PlsDaWords(components=(8, 12, 16, 24, 32)),
}
"""What the report of a bundle shows."""


def tuned(name: str, x: Values, y: Targets, groups: Targets) -> tuple[Callable[[Values], Targets], dict[str, Any]]:
    """Return a fitted baseline's classifier, and the settings that won. `groups` are the blocks left out in turn."""
    fitted = BASELINES[name].tune(x, y, groups, seed=0)
    return fitted.classify, fitted.settings
