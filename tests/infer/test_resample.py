from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest

from edged.bundle.manifest import Manifest
from edged.infer.errors import AxisNotCovered, WrongKind
from edged.infer.resample import resample
from edged.spectra.spectrum import Quantity, Spectrum
from tests.bundle.tiny import fields

MANIFEST = Manifest.model_validate(fields(digests={}))  # 1000, 1010 ... 1070 nm


def spectrum(axis: Any, values: Any, unit: Literal["nm", "cm-1"] = "nm", quantity: Quantity = "absorbance") -> Spectrum:
    return Spectrum(
        axis=np.array(axis, dtype=np.float64),
        values=np.array(values, dtype=np.float32),
        axis_unit=unit,
        quantity=quantity,
    )


def test_values_between_two_points_lie_on_the_line_between_them() -> None:
    given = spectrum([990, 1005, 1015, 1025, 1035, 1045, 1055, 1075], [0, 3, 1, 1, 2, 0, 0, 4])

    row = resample(given, MANIFEST)

    assert row.dtype == np.float32
    np.testing.assert_allclose(row, [2, 2, 1, 1.5, 1, 0, 1, 3], rtol=1e-6)


def test_a_spectrum_already_on_the_axis_passes_unchanged() -> None:
    values = np.arange(8, dtype=np.float32) ** 2

    np.testing.assert_array_equal(resample(spectrum(range(1000, 1080, 10), values), MANIFEST), values)


@pytest.mark.parametrize(
    ("start", "stop", "missing"), [(1000.5, 1080.0, 0.5), (990.0, 1069.0, 1.0), (2000.0, 2100.0, 1000.0)]
)
def test_a_spectrum_that_ends_inside_the_axis_is_refused_with_the_numbers(
    start: float, stop: float, missing: float
) -> None:
    with pytest.raises(AxisNotCovered) as caught:
        resample(spectrum(np.linspace(start, stop, 20), np.zeros(20)), MANIFEST)

    assert caught.value.missing == pytest.approx(missing)
    assert f"{start:g} to {stop:g} nm" in caught.value.message
    assert "1000 to 1070 nm" in caught.value.message


def test_an_end_that_was_rounded_as_text_counts_as_covering() -> None:
    given = spectrum(np.linspace(1000.0 + 1e-7, 1070.0, 8), np.ones(8))

    np.testing.assert_array_equal(resample(given, MANIFEST), np.ones(8))


def test_another_unit_or_quantity_is_refused() -> None:
    axis = np.linspace(900, 1100, 20)

    with pytest.raises(WrongKind, match="the axis is in cm-1, the model wants nm"):
        resample(spectrum(axis, np.zeros(20), unit="cm-1"), MANIFEST)
    with pytest.raises(WrongKind, match="the values are counts, the model wants absorbance"):
        resample(spectrum(axis, np.zeros(20), quantity="counts"), MANIFEST)
