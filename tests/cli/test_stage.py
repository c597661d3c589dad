"""The demo's stage: what it says was before a handheld's window, whatever its driver had to do again."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from drivers import registry
from drivers.contract import ExposureSettings
from drivers.links.serial import SerialLink
from drivers.session import Session
from edged.cli.stage import BUILDS, Handheld

VENTANA = registry.load("obp")
SETTINGS = ExposureSettings(integration_ms=25.0, repeats=1, laser_mw=50.0, laser_unattended=True)


class NoPauses:
    """Time as it is, but nobody waits for a laser to warm up."""

    def now_s(self) -> float:
        return time.monotonic()

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        return stop.is_set()


def test_a_measurement_done_again_does_not_shift_what_the_later_ones_are_said_to_show(tmp_path: Path):
    handheld = Handheld.start("raman", "VEN1", tmp_path, seed=1, build=BUILDS["raman"], samples="solvents13")
    try:
        handheld.until_ready()
        with Session(SerialLink.open(str(handheld.port)), clock=NoPauses()) as session:
            unit = session.perform(VENTANA.open())
            session.perform(VENTANA.configure(unit, SETTINGS))
            truths = []
            for sample, times in (("Toluene", 2), ("Ethanol", 1), ("Cyclohexane", 3), ("Toluene 60 Ethanol 40", 1)):
                handheld.put(sample)
                for _ in range(times):
                    session.perform(VENTANA.scan(unit, SETTINGS))
                truths.append(handheld.truth(None))
            session.perform(VENTANA.close())
    finally:
        handheld.end()

    assert truths == ["Toluene", "Ethanol", "Cyclohexane", "Toluene 60 Ethanol 40"]
