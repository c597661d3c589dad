"""The self test on a simulated Raman instrument: each standard, each row, and when there is no correction."""

from __future__ import annotations

import contextlib
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from drivers.contract import RawScan
from edged.acquire.check import Check, SelfTestLimits
from edged.acquire.counts import Counts, counts_of
from edged.acquire.errors import Unfit
from edged.acquire.gate import corrected_axis
from edged.acquire.selftest import Evidence, SelfTestResult, run_selftest
from edged.service.selftests import pack_response, selftest_info, standard_named, unpack_response
from edged.spectra.spectrum import SpectrumError
from edged.spectra.standards.certificates import SRM_2241
from edged.spectra.standards.certified import StandardsUnusable
from edged.spectra.standards.correction import AxisCorrection
from edged.spectra.standards.intensity import Response
from edged.spectra.standards.known import BUILT_IN, standards
from firmware_sim.scene import LINE_WIDTH_CM1, RAMAN_LINES, Raman
from tests.acquire.scenes import LIT, Glass, NeonLamp, calcite, scan_of
from tests.contract.obp_ends import instrument, scans_of
from tests.spectra.charisma import Charisma

CALCITE_KEYS = ("s008", "s017", "s026", "s035", "s044", "s053", "s061", "s068", "s075", "s085")  # docs/selftest.md


@pytest.fixture(scope="module")
def ventana() -> RawScan:
    """Polystyrene under a laser, by the simulated instrument and its driver."""
    return scan_of(Raman("polystyrene"))


def moved(scan: RawScan, off_cm1: float) -> RawScan:
    """What the instrument says of its axis is off by so much, at every pixel."""
    assert scan.calibration.excitation_nm is not None
    shift = 1e7 / scan.calibration.excitation_nm - 1e7 / scan.axis + off_cm1
    return replace(scan, axis=1e7 / (1e7 / scan.calibration.excitation_nm - shift))


def outcome_of(scan: RawScan, material: str = "polystyrene", limits: SelfTestLimits | None = None) -> SelfTestResult:
    return run_selftest(BUILT_IN[material], Evidence(scans=(scan,), counts=counts_of(scan)), limits)


def row(result: SelfTestResult, name: str) -> Check:
    return next(check for check in result.checks if check.name == name)


def test_a_true_axis_passes(ventana: RawScan) -> None:
    result = outcome_of(ventana)

    assert result.verdict == "pass", result.checks
    assert all(abs(place.found - place.table) < 1.0 for place in result.places if place.doubt is None)
    assert result.covered is not None
    assert result.covered[0] == 620.9
    assert row(result, "axis").limit == 1.5


@pytest.mark.parametrize("off_cm1", [-8.0, 4.5, 15.0])
def test_an_axis_that_is_off_is_corrected_to_the_published_bands(ventana: RawScan, off_cm1: float) -> None:
    scan = moved(ventana, off_cm1)
    result = outcome_of(scan)

    assert result.correction is not None
    counts = counts_of(scan)
    axis = corrected_axis(counts.spectrum, result.correction).axis
    for shift_cm1, strength in RAMAN_LINES["polystyrene"]:
        if strength >= 2 and shift_cm1 < 1_900.0:
            near = np.abs(axis - shift_cm1) < 6.0
            peak = axis[near][np.argmax(counts.spectrum.values[near])]
            assert abs(peak - shift_cm1) < 1.5, shift_cm1
    assert row(result, "correction").value == pytest.approx(abs(off_cm1), abs=1.0)
    assert result.before is not None
    assert result.before > 4.0
    kept = selftest_info(result).correction
    assert kept is not None
    assert AxisCorrection(**kept.model_dump()) == result.correction


@hypothesis_settings(max_examples=12)
@given(off_cm1=st.floats(min_value=21.5, max_value=60.0), sign=st.sampled_from([-1.0, 1.0]))
def test_more_than_twenty_is_no_drift_but_a_fault(ventana: RawScan, off_cm1: float, sign: float) -> None:
    result = outcome_of(moved(ventana, sign * off_cm1))

    assert (result.verdict, result.correction, result.after) == ("fail", None, None)
    assert row(result, "axis").verdict == "fail"
    assert row(result, "axis").hint


@pytest.mark.parametrize("until_cm1", [500.0, 700.0, 810.0, 1_010.0])
def test_fewer_than_four_bands_support_no_correction(ventana: RawScan, until_cm1: float) -> None:
    counts = counts_of(ventana)
    some = counts.spectrum.axis < until_cm1
    assert counts.spectrum.saturated is not None
    cut = replace(
        counts.spectrum,
        axis=counts.spectrum.axis[some],
        values=counts.spectrum.values[some],
        saturated=counts.spectrum.saturated[some],
    )

    result = run_selftest(BUILT_IN["polystyrene"], Evidence(scans=(ventana,), counts=replace(counts, spectrum=cut)))

    assert (result.verdict, result.correction) == ("fail", None)
    assert "correction" not in {check.name for check in result.checks}


def test_another_material_fails_with_a_word_on_what_to_do_and_leaves_no_correction() -> None:
    result = outcome_of(scan_of(Raman("cyclohexane")))

    assert (result.verdict, result.correction) == ("fail", None)
    assert "cyclohexane" in row(result, "axis").message
    assert "--material" in row(result, "axis").hint


def test_each_self_test_tells_width_noise_and_dark_level(ventana: RawScan) -> None:
    result = outcome_of(ventana)

    assert ventana.dark is not None
    assert row(result, "width").value == pytest.approx(LINE_WIDTH_CM1, rel=0.25)  # as the simulator draws its lines
    assert row(result, "dark_level").value == pytest.approx(np.median(ventana.dark.mean(axis=0)))
    spread = np.sqrt(np.mean(np.var(ventana.raw.astype(float), axis=0, ddof=1)))
    assert row(result, "noise").value == pytest.approx(spread, rel=0.1)
    assert {row(result, name).verdict for name in ("width", "noise", "dark_level")} == {None}


@pytest.mark.parametrize(
    ("limits", "name"),
    [
        (SelfTestLimits(max_noise=0.1), "noise"),
        (SelfTestLimits(max_dark_counts=1_000.0), "dark_level"),
        (SelfTestLimits(max_dark_noise=0.01), "dark_noise"),
    ],
)
def test_a_limit_that_is_set_is_held_to(ventana: RawScan, limits: SelfTestLimits, name: str) -> None:
    result = outcome_of(ventana, limits=limits)

    assert result.verdict == "fail"
    assert [check.name for check in result.checks if check.verdict == "fail"] == [name]


def test_calcite_tells_the_resolution() -> None:
    scan = scan_of(calcite())
    good, strict = outcome_of(scan, "calcite"), outcome_of(scan, "calcite", SelfTestLimits(width_cm1=5.0))

    assert (good.verdict, strict.verdict) == ("pass", "fail")
    assert row(good, "resolution").value == pytest.approx(LINE_WIDTH_CM1, rel=0.25)
    assert outcome_of(scan_of(Raman("polystyrene")), "calcite").verdict == "fail"


@pytest.mark.parametrize("lit", [False, True])
def test_a_neon_lamp_is_looked_at_without_the_laser(lit: bool) -> None:
    result = outcome_of(scan_of(NeonLamp(), lit=lit), "neon")

    assert result.verdict == "pass", result.checks
    assert result.places_unit == "nm"
    for place in result.places:
        assert place.doubt is not None or abs(place.found - place.table) < 0.1
    assert {round(place.table, 2) for place in result.places} >= {837.76, 849.54, 859.13}  # NIST, in air


def test_lines_of_neon_that_are_off_fail_in_the_words_of_their_own_axis() -> None:
    scan = scan_of(NeonLamp())
    result = outcome_of(replace(scan, axis=scan.axis + 0.4), "neon")

    lamp = row(result, "lamp")
    assert lamp.verdict == "fail"
    assert lamp.value == pytest.approx(0.4 * 1e7 / 850.0**2, rel=0.2)  # nm to 1/cm
    assert "nm" in lamp.message
    assert result.correction is None


def test_the_response_to_a_glass_is_compared_with_that_of_an_earlier_self_test() -> None:
    fresh, worn = Glass(), Glass()
    worn.dimming = 0.3
    first = outcome_of(scan_of(fresh), "srm-2241")
    assert first.response is not None

    def again(scene: Glass) -> SelfTestResult:
        scan = scan_of(scene)
        evidence = Evidence(scans=(scan,), counts=counts_of(scan), stored=first.response)
        return run_selftest(BUILT_IN["srm-2241"], evidence)

    assert first.verdict == "warn"  # nothing to compare with yet
    assert "first" in row(first, "intensity").message
    assert again(fresh).verdict == "pass"
    dimmer = again(worn)
    assert dimmer.verdict == "fail"
    assert row(dimmer, "intensity").limit == 0.10
    assert "--baseline" in row(dimmer, "intensity").hint
    lowest, highest = SRM_2241.certified_range()
    assert first.covered is not None
    assert lowest <= first.covered[0] < first.covered[1] <= highest


def test_what_is_no_glass_does_not_become_what_later_ones_are_compared_with(ventana: RawScan) -> None:
    result = outcome_of(ventana, "srm-2241")

    assert (result.verdict, result.response) == ("fail", None)
    assert "no glass" in row(result, "intensity").message


def test_a_glass_for_another_laser_is_refused() -> None:
    with pytest.raises(Unfit, match="1064"):
        outcome_of(scan_of(Glass()), "srm-2244")


def test_darkness_is_judged_only_by_a_limit(ventana: RawScan) -> None:
    unjudged = outcome_of(ventana, "dark")

    assert unjudged.verdict == "warn"
    assert "max_dark_counts" in row(unjudged, "dark_level").hint
    assert outcome_of(ventana, "dark", SelfTestLimits(max_dark_counts=1_500.0)).verdict == "pass"
    assert outcome_of(ventana, "dark", SelfTestLimits(max_dark_counts=900.0)).verdict == "fail"
    assert ventana.dark is not None
    assert row(unjudged, "dark_level").value == pytest.approx(np.median(ventana.dark.mean(axis=0)))


def test_a_raman_material_without_a_laser_is_refused_with_what_to_set() -> None:
    (scan,) = scans_of(instrument("ventana", scene=Raman("polystyrene")), "usb", replace(LIT, laser_mw=None))

    with pytest.raises(Unfit, match="no laser") as refused:
        run_selftest(BUILT_IN["polystyrene"], Evidence(scans=(scan,), counts=Counts(spectrum=counts_of(scan).spectrum)))

    assert "laser_mw" in refused.value.hint


def test_a_material_that_nobody_knows_is_refused_with_those_there_are() -> None:
    with pytest.raises(Unfit, match="polystyrene") as refused:
        standard_named("srm-2036", BUILT_IN)
    assert "selftest.certificates" in refused.value.hint  # its values are for information only: the user has them
    with pytest.raises(Unfit, match="no material"):
        standard_named(None, BUILT_IN)


GLASS_7 = '[wavelength.glass-7]\ncertificate = "no. 7"\nbands_nm = [975.9, 1075.4]\nfraction = 0.7\n'
GLASS_8 = (
    '[intensity.srm-2245]\ncertificate = "no. 8"\nlaser_nm = 633.0\nform = "polynomial"\nparameters = [1.0]\n'
    "certified_cm1 = [150.0, 4000.0]\n"
)


def test_certified_values_of_a_file_are_standards_by_name(tmp_path: Path) -> None:
    file = tmp_path / "certificates.toml"
    file.write_text(GLASS_7 + GLASS_8)

    known = standards(file)

    assert (known["glass-7"].subject, known["srm-2245"].title) == ("wavelength", "no. 8")
    assert known["polystyrene"] == BUILT_IN["polystyrene"]


@given(at=st.integers(min_value=0, max_value=len(GLASS_7 + GLASS_8)), data=st.binary(max_size=40))
def test_any_damage_to_a_file_of_certified_values_gives_values_or_one_error(
    tmp_path_factory: pytest.TempPathFactory, at: int, data: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "damaged.toml"
    text = (GLASS_7 + GLASS_8).encode()
    file.write_bytes(text[:at] + data + text[at + len(data) :])

    with contextlib.suppress(StandardsUnusable):
        assert set(standards(file)) >= set(BUILT_IN)


@given(at=st.integers(min_value=0, max_value=2_000), data=st.binary(max_size=40))
def test_a_stored_response_is_read_back_or_refused(at: int, data: bytes) -> None:
    axis = np.linspace(200.0, 3_000.0, 64)
    packed = pack_response(Response(axis=axis, factors=np.ones(64), certificate="NIST SRM 2241"))
    assert unpack_response(packed).axis.tolist() == axis.tolist()

    with contextlib.suppress(SpectrumError):
        assert isinstance(unpack_response(packed[:at] + data + packed[at + len(data) :]), Response)


def test_the_file_of_certified_values_in_the_document_is_one(repository: Path, tmp_path: Path) -> None:
    blocks = re.findall(r"```toml\n(.*?)```", (repository / "docs" / "selftest.md").read_text(), re.DOTALL)
    file = tmp_path / "certificates.toml"
    file.write_text(blocks[0])

    assert standards(file)["glass-7"].title == "NIST SRM 2036, no. 7"


def test_the_document_lists_every_standard_there_is(repository: Path) -> None:
    text = (repository / "docs" / "selftest.md").read_text()

    assert not [name for name in BUILT_IN if f"`{name}`" not in text and name != "srm-2245"]  # it needs a range


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GLASS_7.replace("975.9, 1075.4", "1075.4, 975.9"), "ascend"),
        (GLASS_7.replace("0.7", "1.0"), "fraction"),
        (GLASS_7.replace("975.9", "inf"), "bands_nm"),
        (GLASS_7.replace("glass-7", '"a b"'), "wavelength"),
        (GLASS_7.replace("glass-7", "polystyrene"), "ours"),
        (GLASS_8.replace("150.0, 4000.0", "4000.0, 150.0"), "ascends"),
        (GLASS_8.replace("[1.0]", "[nan]"), "parameters"),
        (GLASS_8 + "more = 1\n", "more"),
        ("[wavelength", "TOML|Expected"),
        ("x = 1", "x"),
        ("#" * 70_000, "bytes"),
        ("\x00", "Invalid"),
    ],
)
def test_certified_values_that_cannot_be_are_refused_with_the_place(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "certificates.toml"
    file.write_text(text)

    with pytest.raises(StandardsUnusable, match=words) as refused:
        standards(file)

    assert str(file) in refused.value.message


def seen_by(charisma: Charisma, key: str, material: str, scan: RawScan) -> SelfTestResult:
    """A self test of a real spectrum; `scan` stands in for the frames, which were not published."""
    spectrum = replace(charisma.spectrum(key), quantity="counts")
    return run_selftest(BUILT_IN[material], Evidence(scans=(scan,), counts=Counts(spectrum=spectrum)))


def test_real_spectra_of_polystyrene_pass_with_their_correction_and_are_no_glass(
    data_dir: Path, ventana: RawScan
) -> None:
    charisma = Charisma(data_dir)
    keys = charisma.keys("PST")

    axes = {key: seen_by(charisma, key, "polystyrene", ventana) for key in keys}
    glasses = {key: seen_by(charisma, key, "srm-2241", ventana).verdict for key in keys}

    assert {key: result.verdict for key, result in axes.items() if result.verdict == "fail"} == {}
    assert all(result.correction is not None for result in axes.values())
    assert set(glasses.values()) == {"fail"}


def test_real_spectra_of_calcite_are_narrow_enough_and_not_those_of_polystyrene(
    data_dir: Path, ventana: RawScan
) -> None:
    charisma = Charisma(data_dir)

    widths = {key: row(seen_by(charisma, key, "calcite", ventana), "resolution") for key in CALCITE_KEYS}
    mistaken = {key: seen_by(charisma, key, "polystyrene", ventana) for key in CALCITE_KEYS}

    assert {key for key, check in widths.items() if check.verdict != "pass"} <= {"s008"}  # that one is clipped
    assert all((result.verdict, result.correction) == ("fail", None) for result in mistaken.values())
