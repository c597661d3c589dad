"""Published values, as others have printed them; and what the certificates promise about their own curves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edged.spectra.standards.certificates import (
    GLASSES,
    SRM_2241,
    SRM_2242A,
    SRM_2245,
    SRM_2246A,
    Certificate,
    OutsideCertificate,
    WavelengthStandard,
)
from edged.spectra.standards.materials import (
    CYCLOHEXANE,
    NEON,
    POLYSTYRENE,
    RAMAN_MATERIALS,
    Line,
    Material,
)

# ramanchada2 1.5.0, PST_RS_dict: position and relative intensity
RAMANCHADA_POLYSTYRENE = {
    620.9: 16,
    795.8: 10,
    1001.4: 100,
    1031.8: 27,
    1155.3: 13,
    1450.5: 8,
    1583.1: 12,
    1602.3: 28,
    2852.4: 9,
    2904.5: 13,
    3054.3: 32,
}

# hbahk/kspecdr, data/arc_tables/ne.arc: "NIST ASD air wavelengths", angstrom
ARC_NEON = """
5852.4878 5881.8950 5944.8340 6029.9968 6074.3376 6096.1630 6143.0627 6163.5937 6217.2812 6266.4952 6304.7893
6334.4276 6382.9914 6402.248 6506.5277 6532.8824 6598.9528 6678.2766 6717.0430 6929.4672 7032.4128 7173.9380 7245.1665
7438.8981 8082.4576 8136.4061 8300.3248 8377.6070 8495.3591
"""


def test_polystyrene_is_what_another_program_has_of_it():
    assert [line.position for line in POLYSTYRENE.lines] == list(RAMANCHADA_POLYSTYRENE)


def test_strengths_rank_the_bands_as_measured_intensities_do():
    by_strength = {strength: [] for strength in (1, 2, 3, 5)}
    for line in POLYSTYRENE.lines:
        by_strength[line.strength].append(RAMANCHADA_POLYSTYRENE[line.position])

    assert max(by_strength[1]) <= min(by_strength[2]) < min(by_strength[3]) < min(by_strength[5])


def test_neon_agrees_with_a_list_that_astronomers_took_from_the_same_database():
    ours = np.array([line.position for line in NEON.lines])

    for angstrom in ARC_NEON.split():
        assert np.min(np.abs(ours - float(angstrom) / 10)) < 0.0002, angstrom


@pytest.mark.parametrize("material", [*RAMAN_MATERIALS, NEON], ids=lambda material: material.name)
def test_every_standard_has_a_strong_line_and_says_where_it_comes_from(material):
    assert max(line.strength for line in material.lines) >= 4  # the guide stars none of paracetamol's
    assert material.source


def test_the_guide_has_seven_compounds_and_one_mixture():
    assert len(RAMAN_MATERIALS) == 8
    assert len(CYCLOHEXANE.lines) == 11


@pytest.mark.parametrize(
    "lines", [(), (Line(position=2.0, strength=1), Line(position=1.0, strength=1)), (Line(position=1.0, strength=9),)]
)
def test_a_table_that_is_none_is_refused(lines):
    with pytest.raises(ValueError, match="x:"):
        Material(name="x", title="x", unit="cm-1", source="x", lines=lines)


@pytest.mark.parametrize("glass", GLASSES, ids=lambda glass: glass.name)
def test_a_certified_curve_is_normalised_to_one(glass):
    """A digit lost in copying would show: NIST scales each curve to a maximum of one."""
    if glass.certified is None:
        glass = replace(glass, certified=(150.0, 3500.0))
    curve = glass.intensity(np.linspace(*glass.certified_range(), 4000))

    assert curve.max() == pytest.approx(1.0, abs=0.005)
    assert curve.min() > 0


@pytest.mark.parametrize("glass", [SRM_2242A, SRM_2246A], ids=lambda glass: glass.name)
def test_a_log_gaussian_is_as_high_and_as_wide_as_its_parameters_say(glass):
    height, width, rho, center, _, _ = glass.parameters
    bare = Certificate(
        name="bare",
        laser_nm=1,
        form="log-gaussian",
        parameters=(height, width, rho, center, 0, 0),
        certified=(0.0, 6000.0),
    )
    at = np.linspace(0, 6000, 60_001)
    over = at[bare.intensity(at) >= height / 2]

    assert bare.intensity(np.array([center]))[0] == pytest.approx(height)
    assert over[-1] - over[0] == pytest.approx(width, abs=1.0) or over[-1] == at[-1]


def test_nothing_is_said_outside_of_the_certified_range():
    with pytest.raises(OutsideCertificate, match="200 to 3500"):
        SRM_2241.intensity(np.array([150.0, 300.0]))
    with pytest.raises(OutsideCertificate, match="not known") as refused:
        SRM_2245.intensity(np.array([1000.0]))

    assert "certificate" in refused.value.hint


@pytest.mark.parametrize(
    "certificate",
    [
        {"form": "log-gaussian", "parameters": (1.0, 2.0)},
        {"form": "log-gaussian", "parameters": (1.0, 2.0, 1.0, 4.0, 5.0, 6.0)},
        {"form": "polynomial", "parameters": (float("nan"),)},
        {"form": "polynomial", "parameters": (1.0,), "certified": (500.0, 100.0)},
    ],
)
def test_a_certificate_that_is_none_is_refused(certificate):
    with pytest.raises(ValueError, match="x:"):
        Certificate(**{"name": "x", "laser_nm": 785.0, "certified": (0.0, 1.0), **certificate})


def test_a_wavelength_standard_without_a_usable_fraction_is_refused():
    with pytest.raises(ValueError, match="fraction"):
        WavelengthStandard(name="x", bands_nm=(1000.0,), fraction=1.0)
