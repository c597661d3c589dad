"""From what a simulated array reads to what the sample did to the light; the scene's own absorbance is the judge."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from drivers import registry
from drivers.clock import ManualClock
from drivers.contract import ExposureSettings, RawScan
from drivers.session import Session
from edged.acquire.counts import counts_of
from edged.acquire.reading import Moment
from edged.acquire.references import Reference, dark_counts, settings_text
from edged.spectra.correct import counts_to_absorbance
from firmware_sim.devices.ooi import OoiSpectrometer
from firmware_sim.drift import Drift
from firmware_sim.sample import View, flat
from firmware_sim.scene import Lamp
from tests.contract.usb_wire import UsbWire

NOW = Moment(wall_s=0.0, monotonic_s=10.0, boot_id="a", synced=True)
SETTINGS = ExposureSettings(integration_ms=50.0, repeats=20, detector_c=-10.0)
DEVICE = registry.load("ooi")


class Slides:
    """What lies before the lamp, until it is changed: a view with the label that the test reads it by."""

    def __init__(self) -> None:
        self.now = flat("white", 0.0)
        self.drift = Drift()

    def view(self) -> View:
        return self.now

    def used(self) -> None:
        pass

    def place(self, name: str) -> None:
        pass


class Bench:
    """A NIRQuest or USB2000+ and what one can put before it."""

    def __init__(self, model: str) -> None:
        self.slides = Slides()
        clock = ManualClock()
        firmware = OoiSpectrometer(Lamp(self.slides), model=model, seed=5)  # type: ignore[arg-type]
        self._session = Session(UsbWire(firmware, clock), clock=clock)
        self._unit = self._session.perform(DEVICE.open())

    def scan(self, view: View, settings: ExposureSettings = SETTINGS) -> RawScan:
        self.slides.now = view
        self._session.perform(DEVICE.configure(self._unit, settings))
        return self._session.perform(DEVICE.scan(self._unit, settings))


def stored(scan: RawScan) -> Reference:
    return Reference(
        role="dark",
        id="d",
        serial_number=scan.identity.serial_number,
        settings=settings_text(scan),
        gain=scan.gain,
        counts=dark_counts(scan),
        moment=NOW,
        detector_c=scan.environment.detector_c,
    )


def gauss(centre_nm: float) -> View:
    axis = np.linspace(300.0, 2_200.0, 2_000)
    return View(label="sample", wavelength_nm=axis, absorbance=0.2 + 0.6 * np.exp(-(((axis - centre_nm) / 40.0) ** 2)))


@pytest.fixture
def nirquest() -> Bench:
    return Bench("nirquest512")


def test_an_array_without_masked_pixels_says_that_its_dark_is_not_off(nirquest: Bench) -> None:
    counts = counts_of(nirquest.scan(flat("white", 0.0)))

    assert not counts.has_dark
    assert "dark" not in " ".join(counts.corrections)


def test_white_dark_and_sample_give_the_absorbance_that_the_sample_has(nirquest: Bench) -> None:
    dark = stored(nirquest.scan(flat("closed", 6.0)))
    sample = gauss(1_300.0)

    reference = counts_of(nirquest.scan(flat("white", 0.0)), dark)
    measured = counts_of(nirquest.scan(sample), dark)
    absorbance = counts_to_absorbance(measured.spectrum, reference.spectrum).spectrum

    assert measured.has_dark
    assert any(done.startswith("dark/1") for done in measured.corrections)
    lit = reference.spectrum.values > 2_000
    assert np.abs(absorbance.values - sample.at(absorbance.axis))[lit].max() < 0.02


def test_without_the_dark_the_same_absorbance_is_wrong(nirquest: Bench) -> None:
    reference = counts_of(nirquest.scan(flat("white", 0.0)))
    measured = counts_of(nirquest.scan(flat("grey", 1.0)))

    absorbance = counts_to_absorbance(measured.spectrum, reference.spectrum).spectrum

    assert absorbance.values.max() < 0.98


@pytest.mark.parametrize("change", [{"integration_ms": 100.0}, {"detector_c": 5.0}], ids=str)
def test_a_dark_of_another_exposure_or_temperature_does_not_fit(nirquest: Bench, change: dict[str, float]) -> None:
    dark = stored(nirquest.scan(flat("closed", 6.0)))

    same = nirquest.scan(flat("white", 0.0))
    other = nirquest.scan(flat("white", 0.0), replace(SETTINGS, **change))  # type: ignore[arg-type]

    assert dark.state_for(same, counts_of(same).spectrum, NOW, max_age_s=60.0) == "fresh"
    assert dark.state_for(other, counts_of(other).spectrum, NOW, max_age_s=60.0) == "mismatched"


def test_masked_pixels_bring_their_own_dark_and_do_not_come_out() -> None:
    bench = Bench("usb2000plus")
    scan = bench.scan(flat("white", 0.0), replace(SETTINGS, detector_c=None))
    counts = counts_of(scan)

    assert counts.has_dark
    assert any(done.startswith("electric_dark/") for done in counts.corrections)
    assert np.all(np.diff(counts.spectrum.axis) > 0)
    assert counts.spectrum.saturated is not None


def test_a_white_reference_serves_another_integration_time(nirquest: Bench) -> None:
    dark = stored(nirquest.scan(flat("closed", 6.0)))
    white_scan = nirquest.scan(flat("white", 0.0))
    white = replace(stored(white_scan), role="white", counts=counts_of(white_scan, dark).spectrum)
    shorter = replace(SETTINGS, integration_ms=25.0)
    dark_shorter = stored(nirquest.scan(flat("closed", 6.0), shorter))
    scan = nirquest.scan(gauss(1_200.0), shorter)
    sample = counts_of(scan, dark_shorter)

    absorbance = counts_to_absorbance(sample.spectrum, white.scaled_to(scan)).spectrum

    assert white.state_for(scan, sample.spectrum, NOW, max_age_s=60.0) == "fresh"
    lit = white.counts.values > 4_000
    assert np.abs(absorbance.values - gauss(1_200.0).at(absorbance.axis))[lit].max() < 0.03
