"""What instruments and powders do to made NIR mixtures: each effect alone, in the units that its word states."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from export.data.mixtures.synthesise import synthesise
from export.data.mixtures.words import Composition, Domains
from export.errors import DataUnusable
from tests.export.data.mixtures.made import (
    ABSORBANCE,
    AXIS,
    KUBELKA_MUNK,
    STILL,
    bands,
    composition,
    library,
    nir_words,
    powders,
    synthesis,
)

PURE = composition(components=(1, 1))
GRID = np.linspace(950.0, 1650.0, 141)


def place(spectra: np.ndarray, grid: np.ndarray = GRID) -> np.ndarray:
    """Where a band is: the mean of its axis, weighted by its height."""
    height = spectra - spectra.min(axis=1, keepdims=True)
    return (height @ grid) / height.sum(axis=1)


def one_band() -> np.ndarray:
    return np.asarray(0.4 + bands(AXIS, [1300.0], 40.0))


def test_the_instrument_moves_all_compounds_alike_and_hydrogen_bonds_move_each() -> None:
    """Two bands far apart, one of each compound: what they move by together, and against each other."""
    both = library(0.4 + bands(AXIS, [1100.0, 1500.0], 30.0))
    optics = STILL.model_copy(update={"shift": 2.0})
    words = synthesis(composition(components=(2, 2), concentration=50.0), nir=nir_words(optics=optics, shift=1.0))

    values = synthesise(both, words, 3000, np.random.default_rng(1), grid=AXIS).values.astype(np.float64)

    low, high = place(values[:, AXIS < 1300], AXIS[AXIS < 1300]), place(values[:, AXIS >= 1300], AXIS[AXIS >= 1300])
    assert np.std((low - high) / np.sqrt(2)) == pytest.approx(1.0, rel=0.1)
    assert np.cov(low, high)[0, 1] == pytest.approx(2.0**2, rel=0.1)


def test_one_interpolation_moves_a_band_as_numpy_would() -> None:
    """A fixed displacement would be `interp` at the grid moved; here each band's own is read off its place."""
    words = synthesis(PURE, nir=nir_words(shift=3.0))

    values = synthesise(library(one_band()), words, 40, np.random.default_rng(2), grid=GRID).values

    moved = 1300.0 - place(values)
    wanted = np.stack([np.interp(GRID + by, AXIS, one_band()[0]) for by in moved])
    assert np.abs(values - wanted).max() < 2e-3
    assert moved.std() > 2.0


def test_the_ends_of_a_stretched_axis_move_most() -> None:
    ends = library(0.4 + bands(AXIS, [1000.0, 1600.0], 20.0).sum(axis=0, keepdims=True))
    words = synthesis(PURE, nir=nir_words(stretch=4.0))

    values = synthesise(ends, words, 2000, np.random.default_rng(3), grid=AXIS).values.astype(np.float64)

    low, high = place(values[:, AXIS < 1300], AXIS[AXIS < 1300]), place(values[:, AXIS >= 1300], AXIS[AXIS >= 1300])
    assert scipy.stats.pearsonr(low - 1000, high - 1600).statistic < -0.99
    assert np.std(high) == pytest.approx(4.0 * 0.75, rel=0.1)  # three quarters of the way from middle to end


def test_a_refilling_adds_what_two_scans_of_one_compound_differ_by() -> None:
    """Compound 0 was filled twice with another slope, compound 1 twice alike: only the first can vary."""
    slope = 0.1 * np.linspace(-1, 1, len(AXIS))
    flat = np.full(len(AXIS), 0.5)
    twice = library(np.stack([flat, flat + slope, flat + 0.2, flat + 0.2]), scans=2)
    words = synthesis(PURE, nir=nir_words(optics=STILL.model_copy(update={"refill": 0.5})))

    made = synthesise(twice, words, 4000, np.random.default_rng(4), grid=AXIS)

    first = made.present[:, 0]
    assert np.ptp(made.values[~first], axis=1).max() < 1e-6
    added = (made.values[first] - 0.5) @ slope / (slope @ slope)
    # its own scan is either, and half of the pairs are of two different scans
    assert added.var() == pytest.approx(0.25 + 0.5 * 0.5**2, rel=0.1)


def test_a_blend_lies_between_two_scans_of_one_compound() -> None:
    scans = library(np.stack([np.full(len(AXIS), level) for level in (0.2, 0.4, 1.0, 1.0)]), scans=2)
    words = synthesis(PURE, nir=nir_words(optics=STILL.model_copy(update={"blend": 1.0})))

    made = synthesise(scans, words, 2000, np.random.default_rng(5), grid=AXIS)

    levels = made.values[made.present[:, 0]].mean(axis=1)
    assert 0.2 - 1e-6 <= levels.min() <= levels.max() <= 0.4 + 1e-6
    assert ((levels > 0.21) & (levels < 0.39)).mean() > 0.35


def test_the_common_shift_of_a_refilling_is_that_of_its_mixture() -> None:
    optics = STILL.model_copy(update={"shift": 20.0, "refill": 2.0})
    scans = library(np.stack([one_band()[0], 0.9 * one_band()[0]]), scans=2)

    values = synthesise(scans, synthesis(PURE, nir=nir_words(optics=optics)), 300, np.random.default_rng(6), grid=GRID)

    slanted = values.values - values.values.min(axis=1, keepdims=True)
    inside = (place(slanted) > 1270) & (place(slanted) < 1330)
    for row, at in zip(slanted[inside], place(slanted)[inside], strict=True):
        wanted = np.interp(GRID + 1300.0 - at, AXIS, one_band()[0] - 0.4)
        assert np.abs(row / row.max() - wanted / wanted.max()).max() < 0.02


@pytest.mark.parametrize("domains", [ABSORBANCE, KUBELKA_MUNK, Domains(reflectance=1.0)])
def test_an_empty_holder_is_as_bright_as_the_white_reference(domains: Domains) -> None:
    words = synthesis(composition(blanks=0.5), nir=nir_words(domains, grinding=0.2))

    made = synthesise(powders(), words, 400, np.random.default_rng(8), grid=AXIS)

    blank = ~made.present.any(axis=1)
    assert 150 < blank.sum() < 250
    assert not made.values[blank].any()
    assert (made.values[~blank] > 0.1).all()


def test_domains_are_used_as_often_as_asked() -> None:
    """Half and half of two flat powders: 1.0 and 0.2 absorbance meet at 0.6, in reflectance at 0.4359."""
    flat = library(np.stack([np.full(len(AXIS), 0.2), np.full(len(AXIS), 1.0)]))
    holds = composition(components=(2, 2), concentration=100.0)
    words = synthesis(holds, nir=nir_words(Domains(absorbance=0.7, reflectance=0.3)))

    made = synthesise(flat, words, 4000, np.random.default_rng(9), grid=AXIS)

    by_absorbance = np.abs(made.values[:, 0] - made.shares @ np.array([0.2, 1.0])) < 1e-5
    by_reflectance = np.abs(10.0 ** -made.values[:, 0] - made.shares @ 10.0 ** -np.array([0.2, 1.0])) < 1e-5
    assert (by_absorbance ^ by_reflectance).all()
    assert by_absorbance.mean() == pytest.approx(0.7, abs=0.03)


def test_a_library_of_reflectance_gives_reflectance() -> None:
    reflectance = library(10.0 ** -powders().values, quantity="reflectance")

    made = synthesise(reflectance, synthesis(PURE, nir=nir_words()), 50, np.random.default_rng(10), grid=AXIS)

    assert np.abs(made.values - made.shares @ reflectance.values.astype(np.float32)).max() < 1e-6


@pytest.mark.parametrize(
    ("holds", "domains", "grinding"),
    [(PURE, KUBELKA_MUNK, 0.0), (PURE, Domains(reflectance=1.0), 0.0), (PURE, ABSORBANCE, 0.1)],
)
def test_absorbance_below_zero_is_no_powder(holds: Composition, domains: Domains, grinding: float) -> None:
    below = library(powders().values - 1.0)

    with pytest.raises(DataUnusable, match="Kubelka-Munk need 0 or above"):
        synthesise(
            below, synthesis(holds, nir=nir_words(domains, grinding=grinding)), 5, np.random.default_rng(0), grid=AXIS
        )
