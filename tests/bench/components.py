"""The second stage of `components` at its full size: 368 compounds, 20 of them claimed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from threadpoolctl import threadpool_limits

from edged.infer.components import Resolver
from export.compare import interleaved_us
from tests.bench.subject import Subject
from tests.bench.table import Row
from tests.infer.plainly import Plainly, table

COMPOUNDS, POINTS, CLAIMED, NOISE = 368, 512, 20, 0.01
LIMIT_MS = 5.0  # next to a network that takes as long


def components(subject: Subject) -> Iterator[Row]:
    """One spectrum to its compounds, CPU time, with few and with all of the claims true; made spectra of 12 bands."""
    rng = np.random.default_rng(1)
    x = np.arange(POINTS)
    centres, widths = rng.uniform(0, POINTS, (COMPOUNDS, 12, 1)), rng.uniform(2, 8, (COMPOUNDS, 12, 1))
    references = (rng.uniform(0.2, 1, (COMPOUNDS, 12, 1)) * np.exp(-0.5 * ((x - centres) / widths) ** 2)).sum(axis=1)
    library = {
        "references": references.astype(np.float32),
        "whitener": (np.eye(POINTS) / NOISE).astype(np.float32),
        "baseline": np.stack([np.ones(POINTS), x / POINTS]).astype(np.float32),
    }
    made = table(COMPOUNDS, POINTS, list(range(COMPOUNDS)))
    ours, peer = Resolver(made, library), Plainly(made, library)
    claimed = rng.choice(COMPOUNDS, CLAIMED, replace=False)
    logits = np.full(COMPOUNDS, -3.0)
    logits[claimed] = 3.0
    for present in (3, CLAIMED):
        shares = rng.dirichlet(np.ones(present))
        row = (shares @ references[claimed[:present]] + rng.normal(0, NOISE, POINTS)).astype(np.float32)
        slow = row.astype(np.float64)
        with threadpool_limits(1):  # as in every process of edged
            times = interleaved_us(
                {
                    "ours": lambda row=row: ours.resolve(logits, row, "confirm"),  # type: ignore[misc]
                    "scipy": lambda slow=slow: peer.confirm(slow, claimed.tolist(), [6.0] * COMPOUNDS),  # type: ignore[misc]
                },
                rounds=subject.scale.rounds,
            )
        what = f"{CLAIMED} claims, {present} of them true, CPU"
        found = {name: value / 1e3 for name, value in times.items()}
        for other, against in ((found["scipy"], "the same rules over scipy's nnls"), (LIMIT_MS, "limit")):
            yield Row(bench="components", what=what, ours=found["ours"], other=other, against=against, unit="ms")
