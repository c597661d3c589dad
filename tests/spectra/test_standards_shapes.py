"""Maxima of composite bands: against scipy on an axis that neon proves straight, and against another laboratory."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from edged.spectra.standards.axis_check import check_axis, check_lamp
from edged.spectra.standards.matching import Doubt, Match
from edged.spectra.standards.materials import POLYSTYRENE
from edged.spectra.standards.shapes import SHAPES, Band, Shapes, at_maxima
from tests.spectra.charisma import NEON_OF, Charisma
from tests.spectra.shape_table import OTHER, RESOLVED, read_with, shapes_of

TABLE = [line.position for line in POLYSTYRENE.lines]
SHIPPED = SHAPES["polystyrene"]


@pytest.fixture(scope="module")
def charisma(data_dir):
    return Charisma(data_dir)


def match(table: float, fwhm: float, doubt: Doubt | None = None) -> Match:
    return Match(table=table, strength=1, found=table, error=0.1, snr=100.0, fwhm=fwhm, doubt=doubt)


def test_neon_proves_one_axis_straight_and_the_maxima_there_are_those_of_the_guide(charisma):
    """s002, by scipy alone: one offset for the laser, and all eleven maxima are within the limit."""
    lamp = check_lamp(charisma.spectrum(NEON_OF["s002"]), laser_nm=532.0)
    lines = np.array([line.difference for line in lamp.counted])
    spectrum = charisma.spectrum("s002")
    axis = np.arange(500.0, 3150.0, 0.25)
    smooth = gaussian_filter1d(np.interp(axis, spectrum.axis, spectrum.values.astype(float)), 3.0 / 2.355 / 0.25)
    maxima = []
    for table in TABLE:
        near = np.abs(axis - table) < 5.0
        maxima.append(axis[near][np.argmax(smooth[near])])
    off = np.array(maxima) - TABLE

    assert len(lines) >= 15
    assert np.ptp(lines) < 0.5
    assert np.max(np.abs(off - np.median(off))) < 1.5


def test_the_check_reads_all_bands_there_within_one_by_neon_and_an_offset(charisma):
    matches = check_axis(charisma.spectrum("s002"), POLYSTYRENE).counted
    off = np.array([found.difference for found in matches])

    assert [found.table for found in matches] == TABLE
    assert np.max(np.abs(off - np.median(off))) < 1.2


def test_the_shapes_that_are_shipped_are_those_of_the_well_resolved_spectrum(charisma):
    measured = shapes_of(charisma.spectrum(RESOLVED), (0.0, 9.0))

    assert measured.widths == pytest.approx((SHIPPED.widths[0], SHIPPED.widths[2]), abs=0.06)
    for table, band in measured.bands.items():
        shipped = SHIPPED.bands[table]
        assert band.width == pytest.approx(shipped.width, abs=0.06), table
        assert band.lean == pytest.approx((shipped.lean[0], shipped.lean[2]), abs=0.01), table


def test_spectra_that_the_shapes_were_not_taken_from_are_read_within_the_limit(charisma):
    """Nine spectra of four other instruments; one weak 1450.5 is over it when the correction has not seen it."""
    left = np.abs(np.array(list(read_with(charisma, SHIPPED, skip=RESOLVED).values())))
    tops = np.abs(np.array(list(read_with(charisma, None, skip=RESOLVED).values())))

    assert len(left) == 72
    assert np.max(left[:, 0]) < 1.5
    assert np.sum(left[:, 1] > 1.5) <= 1
    assert np.max(left[:, 1]) < 1.6
    assert np.max(tops[:, 1]) > 3.0


def test_shapes_of_another_laboratory_and_laser_tell_nearly_the_same(charisma):
    """The other spectrum is itself blunt (9 1/cm), so that it knows 2904.5 and 3054.3 less well."""
    left = np.abs(np.array(list(read_with(charisma, shapes_of(charisma.spectrum(OTHER), (0.0, 9.0))).values())))

    assert np.mean(left[:, 0] <= 1.5) > 0.97
    assert np.max(left) < 2.0


def test_a_band_that_is_too_narrow_for_the_composite_stays_where_it_is():
    sharp, composite = at_maxima([match(3054.3, 9.0), match(3054.3, 28.0)], SHIPPED)

    assert sharp.found == 3054.3
    assert composite.found == pytest.approx(3054.3 - 2.25)


def test_the_gauges_tell_how_blunt_the_instrument_is_unless_they_are_clipped():
    def lean(*gauges: Match) -> float:
        return float(at_maxima([match(1450.5, 18.0), *gauges], SHIPPED)[0].difference)

    assert lean(match(620.9, 11.0), match(1001.4, 11.6)) == pytest.approx(0.67)
    assert lean(match(620.9, 11.3), match(1001.4, 30.0, "saturated")) == pytest.approx(0.67)
    assert lean(match(620.9, 40.0)) == pytest.approx(1.14)
    assert lean() == pytest.approx(-0.28)


def test_shapes_that_are_none_are_refused():
    band = Band(width=10.0, lean=(1.0, 2.0))
    for widths in ((), (5.0,), (6.0, 5.0), (5.0, 5.0)):
        with pytest.raises(ValueError, match="width"):
            Shapes(widths=widths, bands={1000.0: band})
