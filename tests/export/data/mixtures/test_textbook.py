"""With every effect off, a mixture is what the textbook says; and what is in it can be found again."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import trapezoid
from scipy.optimize import nnls

from export.data.catalogue import load_set
from export.data.mixtures.domains import ground, into, out_of
from export.data.mixtures.library import library_of
from export.data.mixtures.synthesise import synthesise
from export.data.mixtures.words import Domains, Raman
from tests.export.data.mixtures.made import (
    ABSORBANCE,
    AXIS,
    KUBELKA_MUNK,
    SHIFTS,
    composition,
    nir_words,
    powders,
    raman,
    synthesis,
)

SINGLE = 3e-6  # relative: what float32 leaves of sums and logarithms


def test_solutions_add_up_as_beer_and_lambert_say() -> None:
    made = synthesise(powders(), synthesis(nir=nir_words()), 600, np.random.default_rng(1), grid=AXIS)

    assert np.abs(made.values - made.shares.astype(np.float64) @ powders().values).max() < SINGLE
    assert np.array_equal(made.shares, made.effective)


def test_grains_side_by_side_add_up_in_reflectance() -> None:
    words = synthesis(nir=nir_words(Domains(reflectance=1.0)))

    made = synthesise(powders(), words, 600, np.random.default_rng(1), grid=AXIS)

    wanted = -np.log10(made.shares.astype(np.float64) @ 10.0 ** -powders().values)
    assert np.abs(made.values - wanted).max() < SINGLE


def test_half_and_half_in_kubelka_munk_by_hand() -> None:
    """A of 0.30103 and 0.69897 is R of 1/2 and 1/5: K/S of 1/4 and 8/5; their mean 0.925 is R of 0.2801."""
    mean = sum(into("kubelka_munk", np.array([absorbance]))[0] / 2 for absorbance in (math.log10(2), math.log10(5)))

    assert mean == pytest.approx(0.925, abs=1e-12)
    reflectance = 1.925 - math.sqrt(0.925**2 + 2 * 0.925)
    assert reflectance == pytest.approx(0.2801, abs=5e-5)
    assert out_of("kubelka_munk", np.array([0.925]))[0] == pytest.approx(-math.log10(reflectance), abs=1e-12)


def test_powders_add_up_in_absorption_and_scattering_each() -> None:
    """Duncan: K is the sum of K of the parts, S that of S; visibility is S, and the effective share is S over all."""
    words = synthesis(nir=nir_words(KUBELKA_MUNK, visibility=0.8))

    made = synthesise(powders(), words, 600, np.random.default_rng(1), grid=AXIS)

    reflectance = 10.0 ** -powders().values
    ratio = made.effective.astype(np.float64) @ ((1 - reflectance) ** 2 / (2 * reflectance))
    wanted = -np.log10(1 + ratio - np.sqrt(ratio**2 + 2 * ratio))
    assert np.abs(made.values - wanted).max() < SINGLE
    assert np.abs(made.effective - made.shares).max() > 0.3


def test_visibility_is_log_normal_between_two_compounds() -> None:
    """The ratio of two effective shares over that of the nominal ones is a log-normal of twice the variance."""
    words = synthesis(composition(components=(2, 2)), nir=nir_words(visibility=0.7))

    made = synthesise(powders().of(["compound 0", "compound 1"]), words, 4000, np.random.default_rng(2), grid=AXIS)

    odds = np.log(made.effective[:, 0] / made.effective[:, 1]) - np.log(made.shares[:, 0] / made.shares[:, 1])
    assert odds.std() == pytest.approx(0.7 * math.sqrt(2), rel=0.03)
    assert abs(odds.mean()) < 0.05


def test_scattering_adds_up() -> None:
    words = synthesis(raman=Raman(normalised="nothing"))

    made = synthesise(raman(), words, 600, np.random.default_rng(1), grid=SHIFTS)

    assert np.abs(made.values - made.shares.astype(np.float64) @ raman().values).max() < SINGLE


@pytest.mark.parametrize(("normalised", "divisor"), [("peak", 5.0), ("area", None)])
def test_a_pure_spectrum_is_weighed_by_its_form(normalised: str, divisor: float | None) -> None:
    library = raman(1)
    bright = library.values * 5.0
    words = synthesis(composition(components=(1, 1)), raman=Raman(normalised=normalised))  # type: ignore[arg-type]
    mean = trapezoid(bright, SHIFTS, axis=1) / (SHIFTS[-1] - SHIFTS[0])

    made = synthesise(raman(1), words, 3, np.random.default_rng(1), grid=SHIFTS)

    assert made.values == pytest.approx(np.repeat(bright / (divisor or mean), 3, axis=0), rel=1e-5, abs=1e-6)


def test_shares_of_solutions_are_found_again_by_least_squares(data_dir: Path) -> None:
    """Real spectra of three powders, one scan each, so that the pure ones are known exactly."""
    spectra = load_set("powders12", data_dir)
    first = np.array([list(spectra.labels).index(label) for label in ("100AC", "100AA", "100LA")])
    library = library_of(spectra, first)
    grid = np.linspace(904.0, 1698.0, 224)
    pure = np.stack([np.interp(grid, library.axis, row) for row in library.values])

    made = synthesise(library, synthesis(nir=nir_words()), 40, np.random.default_rng(3), grid=grid)

    found = np.stack([nnls(pure.T, row.astype(np.float64))[0] for row in made.values])
    assert np.abs(found - made.shares).max() < 2e-5


def test_grinding_moves_absorption_over_scattering_in_proportion() -> None:
    """Twice the grain is twice K/S: by hand from R = 1/2, K/S = 1/4 to 1/2, R = 1.5 - sqrt(1.25) = 0.38197."""
    found = ground(np.array([[math.log10(2)]]), np.array([[2.0]]))

    assert found[0, 0] == pytest.approx(-math.log10(1.5 - math.sqrt(1.25)), abs=1e-12)


def test_coarse_grains_saturate_strong_bands() -> None:
    weak, strong = (ground(np.array([[a, a + 0.1]]), np.array([[4.0]])) for a in (0.05, 1.5))

    assert np.diff(weak)[0, 0] > 1.5 * 0.1
    assert np.diff(strong)[0, 0] < 1.05 * 0.1


def test_ground_powders_are_the_same_by_any_domain_for_a_pure_one() -> None:
    """A single compound has nothing to mix with, so that the domain cannot show, ground or not."""
    holds = composition(components=(1, 1))
    made = [
        synthesise(powders(), synthesis(holds, nir=nir_words(domains, grinding=0.3)), 50, rng, grid=AXIS).values
        for domains, rng in [
            (d, np.random.default_rng(4)) for d in (ABSORBANCE, Domains(reflectance=1.0), KUBELKA_MUNK)
        ]
    ]

    assert np.abs(made[0] - made[1]).max() < 1e-5
    assert np.abs(made[0] - made[2]).max() < 1e-5
