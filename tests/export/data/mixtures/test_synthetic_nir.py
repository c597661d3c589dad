"""Made-up spectra in the near infrared: bands where X-H bonds have theirs, on a level, and a name that says what they
are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.signal

from export.data.mixtures.recipes import A1
from export.data.mixtures.synthesise import synthesise
from export.data.mixtures.synthetic_nir import BONDS, NirBands, _bond, _compound, _sum, synthetic_nir
from export.errors import DataUnusable
from tests.export.data.mixtures.made import AXIS, powders

FINE = np.linspace(880.0, 1720.0, 1681)  # 0.5 nm
MADE = synthetic_nir(600, FINE, seed=3)
RNG = np.random.default_rng(3)
BANDS = [_compound(RNG) for _ in range(600)]  # of these, in their order
# What any book tells of a bond between 880 and 1720 nm: regions of its overtones and combinations
REGIONS_NM = {
    "C-H methyl": ((895, 935), (1130, 1215), (1335, 1385), (1660, 1740)),
    "C-H methylene": ((910, 955), (1190, 1240), (1370, 1440), (1690, 1800)),
    "C-H aromatic": ((860, 895), (1120, 1165), (1395, 1470), (1615, 1700)),
    "O-H": ((945, 990), (1160, 1220), (1385, 1610)),
    "N-H": ((1000, 1045), (1435, 1605)),
}


def test_a_seed_gives_the_same_spectra_to_the_bit_and_another_gives_others() -> None:
    again, other = synthetic_nir(600, FINE, seed=3), synthetic_nir(150, FINE, seed=4)

    assert np.array_equal(MADE.values, again.values)
    assert not np.array_equal(MADE.values, other.values)


def test_everything_says_that_it_is_synthetic() -> None:
    assert MADE.synthetic
    assert all(name.startswith("synthetic ") for name in MADE.names)
    assert (MADE.technique, MADE.quantity) == ("NIR", "absorbance")


def test_bands_lie_where_their_bonds_have_overtones_and_combinations() -> None:
    rng = np.random.default_rng(7)
    for bond, regions in REGIONS_NM.items():
        centres = np.concatenate([_bond(bond, rng)[:, 0] for _ in range(400)])
        seen = centres[(centres > 880.0) & (centres < 1720.0)]

        inside = [any(low <= centre <= high for low, high in regions) for centre in seen]
        assert len(seen) > 400
        assert np.mean(inside) > 0.97, bond
    assert set(BONDS) == set(REGIONS_NM)


def test_first_overtones_are_higher_than_second_ones() -> None:
    between = [np.ptp(MADE.values[:, (low < FINE) & (high > FINE)]) for low, high in ((880, 1300), (1380, 1720))]
    heights = [
        [bands.height[(bands.centre_nm > low) & (bands.centre_nm < high)].max(initial=0.0) for bands in BANDS]
        for low, high in ((1100, 1250), (1600, 1780))
    ]

    assert between[0] < between[1]
    assert np.median(heights[0]) < 0.4 * np.median(heights[1])


def test_a_narrow_band_that_nothing_overlaps_is_a_peak_of_the_spectrum() -> None:
    """Within 5 nm: a slope of scattering, and the wings of others, move a maximum."""
    looked_at = 0
    for row, bands in zip(MADE.values, BANDS, strict=True):
        peaks = FINE[scipy.signal.find_peaks(row)[0]]
        for place in np.flatnonzero((bands.centre_nm > 900) & (bands.centre_nm < 1700) & (bands.fwhm_nm < 50)):
            away = np.abs(bands.centre_nm - bands.centre_nm[place])
            reach = (away < 2.0 * (bands.fwhm_nm + bands.fwhm_nm[place])) & (away > 0.0)
            if bands.height[reach].sum() < 0.2 * bands.height[place]:
                looked_at += 1
                assert np.abs(peaks - bands.centre_nm[place]).min() < 5.0
    assert looked_at > 10


def test_a_band_has_the_width_and_height_that_it_says() -> None:
    one = NirBands(centre_nm=np.array([1490.0]), fwhm_nm=np.array([50.0]), height=np.array([0.7]))

    row = _sum(FINE, one)

    width = scipy.signal.peak_widths(row, [int(row.argmax())], rel_height=0.5)[0][0] * 0.5
    assert FINE[row.argmax()] == pytest.approx(1490.0, abs=0.5)
    assert width == pytest.approx(50.0, abs=1.0)
    assert row.max() == pytest.approx(0.7, abs=1e-4)


def test_spectra_are_smooth_and_lie_on_the_level_that_was_asked_for() -> None:
    bright = synthetic_nir(200, AXIS, 1, level_au=(1.1, 1.3)).values

    means, depth = bright.mean(axis=1), np.ptp(bright, axis=1)
    slopes = np.diff(scipy.signal.savgol_filter(bright, 5, 2, axis=1), axis=1)
    turns = (np.diff(np.sign(slopes), axis=1) != 0).sum(axis=1)
    assert 0.95 < means.min() < means.max() < 1.45
    assert 0.05 < np.quantile(depth, 0.05) < np.median(depth) < 0.6
    steps = np.abs(np.diff(bright, axis=1)).max(axis=1) / depth  # of 5 nm
    assert np.median(steps) < 0.15
    assert steps.max() < 0.5  # a Gaussian of 18 nm rises by 1.43 / 18 a nm; a slope may take from the depth
    assert np.median(turns) < 20


def test_fillings_of_one_compound_are_alike_but_not_equal_and_groups_of_their_own() -> None:
    library = synthetic_nir(6, AXIS, 2, scans=3)

    alike = np.asarray(np.corrcoef(library.values))
    assert library.compound.tolist() == np.repeat(np.arange(6), 3).tolist()
    assert len(set(library.groups)) == 18
    assert 0.9 < alike[0, 1] < 1.0
    assert not np.array_equal(library.values[0], library.values[1])


def test_reflectance_and_wavenumbers_tell_of_the_same_powders() -> None:
    positions = 1e7 / AXIS[::-1]

    absorbance = synthetic_nir(9, AXIS, 5).values
    reflectance = synthetic_nir(9, AXIS, 5, quantity="reflectance").values
    turned = synthetic_nir(9, positions, 5, axis_unit="cm-1")

    np.testing.assert_allclose(reflectance, 10.0**-absorbance, rtol=1e-9)
    assert turned.technique == "NIR"
    off = np.gradient(np.gradient(turned.values[:, ::-1], axis=1), axis=1) - np.gradient(
        np.gradient(absorbance, axis=1), axis=1
    )
    assert np.abs(off).max() < 1e-3  # level and slope of scattering apart


def test_they_can_be_mixed_with_a_library_in_every_way() -> None:
    others = synthetic_nir(40, AXIS, 6, level_au=(0.0, 0.1))

    made = synthesise(powders(), A1, 500, np.random.default_rng(0), grid=AXIS[5:-5], outsiders=others)

    assert others.values.min() >= 0.0
    assert np.isfinite(made.values).all()
    assert (made.outsider > 0).mean() == pytest.approx(A1.composition.outsiders, abs=0.06)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"compounds": 0}, "0 compounds for a synthetic library"),
        ({"scans": 1000}, "1000 scans for a synthetic library"),
        ({"quantity": "intensity"}, "of counts"),
        ({"level_au": (1.0, 0.5)}, "levels from 1 to 0.5 AU"),
        ({"level_au": (0.1, np.inf)}, "levels from 0.1 to inf AU"),
        ({"axis": np.linspace(400.0, 1000.0, 50)}, "an axis of 50 points from 400 to 1000 nm"),
        ({"axis": np.linspace(420.0, 700.0, 50)}, "an axis of 50 points from 420 to 700 nm"),
        ({"axis": AXIS[:0]}, "an axis of 0 points for"),
        ({"axis": AXIS[:1]}, "an axis of 1 points from 900 to 900 nm"),
        ({"axis": np.linspace(3500.0, 9000.0, 50), "axis_unit": "cm-1"}, "of 50 points from 3500 to 9000 cm-1"),
        ({"axis": np.linspace(0.0, 9000.0, 50), "axis_unit": "cm-1"}, "of 50 points from 0 to 9000 cm-1"),
    ],
)
def test_what_cannot_be_made_is_refused(words: dict[str, Any], said: str) -> None:
    with pytest.raises(DataUnusable, match=said):
        synthetic_nir(**{"compounds": 3, "axis": AXIS, **words})
