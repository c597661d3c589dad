"""The made-up library: bands where the table says, relatives that look alike, and a name that says what it is."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
from scipy.special import voigt_profile

from export.data.mixtures.synthetic import Bands, _spectrum, glass, synthetic_library
from export.errors import DataUnusable

MADE = synthetic_library(120, 1801, seed=3)


def test_the_full_library_is_that_of_the_thesis_in_size() -> None:
    full = synthetic_library(points=300)

    assert full.library.values.shape == (368, 300)
    assert len(full.bands) == len(full.family) == len(set(full.library.names)) == 368


def test_everything_says_that_it_is_synthetic() -> None:
    assert MADE.library.synthetic
    assert glass(MADE.library.axis).synthetic
    assert all(name.startswith("synthetic ") for name in (*MADE.library.names, *glass(MADE.library.axis).names))


def test_a_seed_gives_the_same_library_to_the_bit() -> None:
    again, other = synthetic_library(120, 1801, seed=3), synthetic_library(120, 1801, seed=4)

    assert np.array_equal(MADE.library.values, again.library.values)
    assert not np.array_equal(MADE.library.values, other.library.values)


def test_the_highest_lone_band_of_each_compound_is_where_the_table_says() -> None:
    """A lone band has no other within 40 cm-1; scans move bands by 0.3 cm-1."""
    looked_at = 0
    for row, bands in zip(MADE.library.values, MADE.bands, strict=True):
        gaps = np.diff(bands.centre_cm1, prepend=-1e3, append=1e4)
        lone = np.flatnonzero(np.minimum(gaps[:-1], gaps[1:]) > 40.0)
        lone = lone[(bands.centre_cm1[lone] > 240) & (bands.centre_cm1[lone] < 1960) & (bands.height[lone] > 0.3)]
        peaks = MADE.library.axis[scipy.signal.find_peaks(row)[0]]
        for band in lone:
            looked_at += 1
            assert np.abs(peaks - bands.centre_cm1[band]).min() < 2.5
    assert looked_at > 20


def test_a_band_has_the_width_of_the_table() -> None:
    axis = np.linspace(900.0, 1100.0, 4001)
    one = Bands(centre_cm1=np.array([1000.0]), fwhm_cm1=np.array([8.0]), height=np.array([0.7]))

    row = _spectrum(axis, one)

    width = scipy.signal.peak_widths(row, [int(row.argmax())], rel_height=0.5)[0][0] * (axis[1] - axis[0])
    assert width == pytest.approx(8.0, abs=0.15)
    assert row.max() == pytest.approx(0.7)
    lorentz = voigt_profile(axis - 1000.0, 0.0, 4.0) * np.pi * 4.0 * 0.7
    assert (row <= lorentz + 1e-12)[np.abs(axis - 1000.0) > 4.0].all()


def test_relatives_are_nearer_than_strangers() -> None:
    nearest = MADE.library.nearest(1)[:, 0]
    sizes = np.bincount(MADE.family)
    has_relative = sizes[MADE.family] > 1

    assert (MADE.family[nearest] == MADE.family)[has_relative].mean() > 0.9
    assert 0.3 < has_relative.mean() < 0.9
    assert sizes.max() <= 4


def test_numbers_of_bands_and_their_widths_are_those_of_organic_solids() -> None:
    many = [len(bands.height) for bands in MADE.bands]
    widths = np.concatenate([bands.fwhm_cm1 for bands in MADE.bands])

    assert 10 <= min(many) <= max(many) <= 37
    assert 6.0 < np.median(widths) < 10.0
    assert (widths >= 4.0).all()
    assert (widths <= 25.0).all()


def test_scans_of_one_compound_are_alike_but_not_equal_and_groups_of_their_own() -> None:
    library = synthetic_library(5, 600, seed=2, scans=3).library

    alike = np.asarray(np.corrcoef(library.values))
    assert len(set(library.groups)) == 15
    assert library.compound.tolist() == np.repeat(np.arange(5), 3).tolist()
    assert 0.9 < alike[0, 1] < 0.99999


@pytest.mark.parametrize("asked", [{"compounds": 0}, {"compounds": 10**6}, {"points": 3}, {"scans": 0}])
def test_a_size_beyond_the_limits_is_refused(asked: dict[str, int]) -> None:
    with pytest.raises(DataUnusable, match="for a synthetic library"):
        synthetic_library(**asked)
