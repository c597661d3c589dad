from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edged.spectra.correct import counts_to_absorbance, counts_to_reflectance
from edged.spectra.spectrum import Quantity, Spectrum, SpectrumError

AXIS_NM = np.arange(900.0, 980.0, 10.0)


def counts(values: Any, *, axis: Any = AXIS_NM, quantity: Quantity = "counts", saturated: Any = None) -> Spectrum:
    return Spectrum(
        axis=np.array(axis, dtype=np.float64),
        values=np.array(values, dtype=np.float32),
        axis_unit="nm",
        quantity=quantity,
        saturated=saturated,
        title="x",
    )


WHITE = counts([1000] * 8)


def test_absorbance_is_the_logarithm_of_reference_over_sample() -> None:
    found = counts_to_absorbance(counts([1000, 100, 10, 1, 10000, 500, 1000, 1000]), WHITE)

    expected = [0, 1, 2, 3, -1, 0.30103, 0, 0]
    np.testing.assert_allclose(found.spectrum.values, expected, atol=1e-6)
    assert (found.spectrum.quantity, found.spectrum.axis_unit, found.spectrum.title) == ("absorbance", "nm", "x")
    assert found.spectrum.values.dtype == np.float32
    assert not found.dark.any()


def test_reflectance_is_sample_over_reference() -> None:
    found = counts_to_reflectance(counts([1000, 100, 0, 250, 2000, 500, 1000, 1000]), WHITE)

    np.testing.assert_allclose(found.spectrum.values, [1, 0.1, 0.001, 0.25, 2, 0.5, 1, 1], rtol=1e-6)
    assert found.spectrum.quantity == "reflectance"


def test_no_light_is_flagged_and_taken_for_one_count() -> None:
    found = counts_to_absorbance(counts([0, -50, 1, 1000, 1000, 1000, 1000, 1000]), WHITE)
    below = counts_to_absorbance(WHITE, counts([0, -5, 1, 1000, 1000, 1000, 1000, 1000]))

    np.testing.assert_allclose(found.spectrum.values[:3], [3, 3, 3], atol=1e-6)
    assert found.dark.tolist() == [True, True, False, False, False, False, False, False]
    np.testing.assert_allclose(below.spectrum.values[:3], [-3, -3, -3], atol=1e-6)
    assert below.dark.tolist() == found.dark.tolist()


def test_saturation_of_either_is_carried_on() -> None:
    first = np.arange(8) == 1
    second = np.arange(8) == 5

    both = counts_to_absorbance(counts([9] * 8, saturated=first), counts([9] * 8, saturated=second))
    unknown = counts_to_absorbance(counts([9] * 8), counts([9] * 8))

    assert both.spectrum.saturated is not None
    assert np.flatnonzero(both.spectrum.saturated).tolist() == [1, 5]
    assert unknown.spectrum.saturated is None


def test_a_reference_on_another_axis_is_refused() -> None:
    with pytest.raises(SpectrumError, match="970 nm, the white reference on 8 points from 901") as e:
        counts_to_absorbance(WHITE, counts([1] * 8, axis=AXIS_NM + 1))

    assert "white reference" in e.value.hint


def test_what_is_no_counts_is_refused() -> None:
    with pytest.raises(SpectrumError, match="the sample holds absorbance, not counts"):
        counts_to_absorbance(counts([1] * 8, quantity="absorbance"), WHITE)


def test_the_absorbance_of_the_vendors_program_comes_out_of_its_counts(data_dir: Path) -> None:
    for path in sorted((data_dir / "nir_api20_nirmr2" / "scans").glob("*.csv"))[::10]:
        with path.open(encoding="utf-8-sig") as file:
            lines = list(csv.reader(file))
        start = next(i for i, line in enumerate(lines) if line and line[0] == "Wavelength (nm)")
        axis, absorbance, reference, sample = np.array([line[:4] for line in lines[start + 1 :] if line[0]], float).T

        found = counts_to_absorbance(counts(sample, axis=axis), counts(reference, axis=axis))

        np.testing.assert_allclose(found.spectrum.values, absorbance, atol=2e-7)
