"""That the page of trained banks says what int8 costs, and whether that is more than is allowed."""

from __future__ import annotations

from dataclasses import replace

from tests.bench.bank_int8 import Compared, Told
from tests.bench.bank_int8_page import page

RATES = {"f1": 0.96, "precision": 0.99, "recall": 0.93, "exact": 0.85, "false_names": 0.016}
TOLD = Told(
    tried_on="real scans",
    spectra=1360,
    error=0.03,
    largest=0.3,
    same_answers=0.999,
    same_sets=0.996,
    float_=RATES,
    int8={**RATES, "f1": 0.957},
    int8_own={**RATES, "f1": 0.958, "false_names": 0.018},
)
BANK = Compared(name="powders, ResUCA", compounds=3, parameters=71_601, seconds=30.0, told=(TOLD,))


def test_what_is_within_the_limits_is_met() -> None:
    text = page([BANK])

    assert "| powders, ResUCA, real scans | int8, limits of float | 95.70 | 99.00 | 93.00 | 85.00 | 0.0160 |" in text
    assert "name one class: **met**" in text
    assert "0.30 points lost in the worst row, 0.5 allowed: **met**" in text
    assert "at most +0.0020 against float" in text


def test_one_row_that_is_worse_misses_for_all() -> None:
    worse = replace(BANK, told=(TOLD, replace(TOLD, same_sets=0.98, int8_own={**RATES, "f1": 0.951})))

    text = page([BANK, worse])

    assert "98.00 % in the worst row" in text
    assert "name one class: **missed**" in text
    assert "0.90 points lost in the worst row, 0.5 allowed: **missed**" in text
