"""The bench of mixtures: what it makes is what it says, a set in lots is held up, and the page counts both."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from edged.monitor.monitor import Rules
from edged.monitor.template import Grid
from firmware_sim.mixtures import Library
from tests.bench.drift import Product
from tests.bench.drift_mixtures import Fractions, of_powders, of_solvents, quiet
from tests.bench.drift_mixtures_page import Kept, Measured, page
from tests.bench.drift_page import Seeing

RAMAN = Grid(axis=np.linspace(240.0, 1998.0, 110), unit="cm-1", has_lamp=False)
NIR = Grid(axis=np.linspace(930.0, 1660.0, 60), unit="nm", has_lamp=True)


@pytest.mark.parametrize(("fractions", "different"), [("fixed", 1), ("by filling", 10), ("by lot", 2)])
def test_solvents_vary_as_they_are_said_to(fractions: Fractions, different: int) -> None:
    """Fractions are found again by least squares of the pure spectra and the glow."""
    library = Library.named("solvents13")
    glow, changes = np.exp(-(((RAMAN.axis - 1_500.0) / 1_500.0) ** 2)), []

    for product, stranger in of_solvents(RAMAN, fractions, fillings=10):
        members = product.name.split(" + ")
        pure = [np.interp(RAMAN.axis, library.shift_cm1, library.spectrum_of(member)) for member in members]
        scans = np.concatenate(product.fillings).reshape(10, 10, -1).mean(axis=1)
        weights = np.linalg.lstsq(np.array([*pure, glow]).T, scans.T, rcond=None)[0][:-1]
        shares = (weights / weights.sum(axis=0)).T
        changes.append(1 + np.count_nonzero(np.abs(np.diff(shares, axis=0)).max(axis=1) > 0.012))
        assert shares.min() > 0.15
        assert stranger.name not in members

    assert max(changes) == different
    assert np.mean(changes) >= 0.85 * different


def test_powders_of_a_set_come_alone_or_together_or_in_lots() -> None:
    sets = {"a + b": [[np.full((10, 60), float(10 * n + k)) for k in range(10)] for n in range(2)]}

    fixed, mixed, lots = (of_powders(sets, NIR, how) for how in ("fixed", "by filling", "by lot"))

    assert [len(product.fillings) for product in fixed] == [10, 10]
    assert [len(product.fillings) for product in mixed] == [20]
    assert [len(filling) for filling in lots[0].fillings] == [50] * 4
    assert np.unique(lots[0].fillings[3]).tolist() == [15.0, 16.0, 17.0, 18.0, 19.0]


def test_a_set_in_lots_is_counted_as_held_up() -> None:
    """Levels that differ from lot to lot by a hundred times what readings do."""
    chance = np.random.default_rng(1)
    band = np.exp(-(((NIR.axis - 1_200.0) / 80.0) ** 2))
    lots = [band + level + 0.001 * chance.standard_normal((100, 60)) for level in 0.1 * chance.standard_normal(40)]

    kept = quiet([Product(name="a + b", grid=NIR, fillings=lots)], Rules(), baselines=1, readings=10)

    assert (kept.at_once, kept.later, kept.held_up, kept.readings) == (0, 0, 1, 0)


def test_the_page_tells_what_was_held_up_and_what_is_still_told() -> None:
    kept = Kept(at_once=3, later=2, held_up=1, readings=1_000, alarmed=1, alarms=Counter({"axis": 2}))
    seeing = Seeing(runs=5, called=Counter({"axis": 3, "product": 1, "not seen": 1}), delays=[40, 40, 40, 80])
    text = page(
        Measured(
            rules=Rules(),
            kept={("p", "by lot"): kept},
            seen={("p", "axis", "axis=1"): (seeing, 0.5)},
            before=100,
            patience=500,
            spent_s=1.0,
        )
    )

    assert "| p | by lot | 3 | 2 | 1 | 1,000 | 2 | 500 | 1 of 5 | axis 2 |" in text
    assert "| p | `axis=1` | 50% | 5 | 0 | 0 | **3** | 0 | 1 | 1 | 50 | 74 |" in text
    assert "met by 0 of 1 rows; **missed** by p by lot (one in 500).\n\n## Drifts" in text
    assert text.endswith("Of all 5 runs 80% are seen and 60% rightly named; 1 row has runs in which nothing is seen.\n")
