"""The bench of drift: what a baseline has not learned is watched, and the page says what that shows."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from edged.monitor.monitor import Rules
from edged.monitor.template import Grid
from tests.bench.drift import Product, unseen
from tests.bench.drift_page import Measured, Seeing, Unseen, Wolf, page

SEED = 4
AXIS = np.linspace(905.0, 1660.0, 216)


def test_the_fillings_that_are_watched_are_those_that_were_not_learned() -> None:
    """Four of ten fillings, those that this seed leaves out, absorb more; nobody who watches the other six sees it."""
    left_out = np.random.default_rng([SEED, 3]).permutation(10)[6:]
    band = np.exp(-(((AXIS - 1200.0) / 80.0) ** 2)) + 0.5 * np.exp(-(((AXIS - 1450.0) / 50.0) ** 2))
    noise = np.random.default_rng(0).normal(scale=0.001, size=(10, 10, len(AXIS)))
    level = 0.01 * np.random.default_rng(1).normal(size=10) + 0.5 * np.isin(np.arange(10), left_out)
    fillings = [band + level[number] + noise[number] for number in range(10)]
    product = Product(name="p", grid=Grid(axis=AXIS, unit="nm", has_lamp=True), fillings=fillings)

    new = unseen(product, 6, Rules(), SEED, known=False)
    same = unseen(product, 6, Rules(), SEED, known=True)

    assert (new.readings, same.readings) == (40, 40)
    assert new.alarms == Counter({"offset": 1})
    assert not same.alarms


@pytest.fixture(scope="module")
def text() -> str:
    quiet = [Wolf(readings=100, alarms=Counter({"axis": 1})), Wolf(readings=100)]
    alarmed = [Wolf(readings=40, alarms=Counter({"path": 1})), *(Wolf(readings=40) for _ in range(3))]
    made = Unseen(learned=6, least=10, most=10, products=2, new=alarmed, known=alarmed[1:] + alarmed[1:2])
    seeing = {("powders12", "lamp", "lamp=-0.01"): Seeing(runs=60), ("powders12", "product", "p"): Seeing(runs=55)}
    return page(
        Measured(
            rules=Rules(),
            readings=200,
            quiet={"powders12": quiet},
            unseen={"powders12": made},
            ordered={"powders12": quiet},
            seen=seeing,
            before=100,
            patience=500,
            spent_s=1.0,
            cost_us=20.0,
        )
    )


def test_the_page_says_how_often_new_fillings_alarm_and_how_often_chance_would(text: str) -> None:
    """Clopper and Pearson, of 1 in 4: 0.6 to 80.6 %; of 0 in 4: to 60.2 %. C(10, 4) = 210, and 9 / 210 = 4.3 %."""
    assert "| powders12 | 6 of 10 | the others | 4 | 160 | 1 | 0.6% to 80.6% | path 1 |" in text
    assert "| powders12 | 6 of 10 | as many of the same | 4 | 160 | 0 | 0.0% to 60.2% | none |" in text
    assert "once in 210 times; and there are 9 sides\nof 5 signals to look at: 4.3% of runs" in text
    assert "2 ways to deal" in text


def test_the_page_says_that_early_is_one_observation(text: str) -> None:
    assert "one observation (60 runs in powders12), and not one a row" in text


def test_the_page_says_what_is_missed_of_alarms_and_of_names(text: str) -> None:
    """One alarm in 200 readings is more than one in 10,000; of 115 runs nobody named anything."""
    assert "met by 0 of 1 rows; **missed** by powders12 (one in 200).\n\nReadings averaged" in text
    assert "**missed** by powders12: the others (one in 160); too few readings to tell in powders12: as many" in text
    assert "in every run met by 0 of 2 rows, **missed** by the other 2." in text
