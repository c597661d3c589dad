"""What is behind an OBP instrument's protocol: detector, cooler and laser, with the settings that a host can change."""

from __future__ import annotations

import math
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from firmware_sim.array import ArrayDetector
from firmware_sim.contract import Event
from firmware_sim.devices._obp_models import SimModel
from firmware_sim.faults import Fault
from firmware_sim.scene import Scene

LASER_FULL_MW = 100.0  # our reading: no sheet names the power of a Ventana-785L
KEPT_FRAMES = 64
ROOM_C, WARM_C = 25.0, 31.0
COOLING_S = 4.0  # time constant of the cooler
STABLE_C = 0.3
METADATA = struct.Struct("<IQIHB13x")
DEFAULT_US = 10_000

Ask = Callable[[str, int], Fault | None]  # which scan fault hits frame number N


@dataclass
class Settings:
    """What a host can change, as after power-on."""

    integration_us: int = DEFAULT_US
    trigger: int = 0
    delay_us: int = 0
    binning: int = 0
    averages: int = 1
    boxcar: int = 0
    lamp: int = 0
    buffer_size: int = 1
    cooler_on: bool = False
    cold_c: float = -10.0
    fan_on: bool = True
    intensity: float = 0.0


class Bench:
    """One unit's optics and electronics.

    meant: the last frames as they are on the wire, what a client has to find. laser_log: (time, on, mW) of each change.
    A frame that was under way when the integration time changed still has the former one. frames_per_sample: after so
    many frames the next sample is there; 0: it stays until the operator says so.
    """

    def __init__(
        self,
        model: SimModel,
        scene: Scene,
        *,
        wavelength: tuple[float, ...],
        seed: int,
        ideal: bool,
        frames_per_sample: int,
        quirks: frozenset[str],
    ) -> None:
        self.model = model
        self.scene = scene
        self.settings = Settings()
        self.meant: deque[NDArray[np.int32]] = deque(maxlen=KEPT_FRAMES)
        self.laser_log: list[tuple[float, bool, float]] = []
        self.frames = 0
        self._quirks = quirks
        self._frames_per_sample = frames_per_sample
        self._fresh = 0  # frames with the exposure that was asked for
        self._detector = ArrayDetector(model.detector, seed=seed, ideal=ideal)
        pixel = np.arange(model.detector.pixels, dtype=np.float64)
        self._nm: NDArray[np.float64] = np.polynomial.polynomial.polyval(pixel, np.array(wavelength))
        self._laser_on = False
        self._old_us: int | None = None
        self._cooling = (0.0, ROOM_C)  # since when, from where
        self._last: bytes | None = None

    def boot(self, now_s: float) -> None:
        """Power comes, or the firmware restarts: settings of the factory, laser off."""
        self.settings = Settings()
        self._laser_on = False
        self._old_us = None
        self._last = None
        self._cooling = (now_s, ROOM_C)
        if self.laser_log and self.laser_log[-1][1]:
            self.laser_log.append((now_s, False, 0.0))

    def set_integration(self, integration_us: int) -> None:
        """Expose for so long, from the next frame but one on."""
        if integration_us != self.settings.integration_us:
            self._old_us = self.settings.integration_us
        self.settings.integration_us = integration_us

    def clear_buffer(self) -> None:
        """Forget the frame that was under way."""
        self._old_us = None

    @property
    def laser_mw(self) -> float:
        """What comes out now."""
        return self.settings.intensity * LASER_FULL_MW if self._laser_on else 0.0

    @property
    def laser_on(self) -> bool:
        """The laser is on."""
        return self._laser_on

    def switch_laser(self, on: bool, now_s: float) -> list[Event]:
        """Switch it, unless it will not; return what happened."""
        if (on and "interlock" in self._quirks) or (not on and "stuck-laser" in self._quirks):
            return []
        if on == self._laser_on:
            return []
        self._laser_on = on
        self.laser_log.append((now_s, on, self.laser_mw))
        return [{"event": "laser", "on": on, "mw": self.laser_mw}]

    def set_cooler(self, now_s: float, *, on: bool | None = None, cold_c: float | None = None) -> None:
        """Change the cooler; the detector starts from where it is."""
        self._cooling = (now_s, self.detector_c(now_s))
        if on is not None:
            self.settings.cooler_on = on
        if cold_c is not None:
            self.settings.cold_c = cold_c

    def detector_c(self, now_s: float) -> float:
        """Return the detector's temperature."""
        if not self.model.cooled:
            return ROOM_C + (WARM_C - ROOM_C) * (1 - math.exp(-self.frames / 50.0))
        target_c = self.settings.cold_c if self.settings.cooler_on else ROOM_C
        since_s, from_c = self._cooling
        return target_c + (from_c - target_c) * math.exp(-max(0.0, now_s - since_s) / COOLING_S)

    def is_stable(self, now_s: float) -> bool:
        """The detector is at its set point."""
        return self.settings.cooler_on and abs(self.detector_c(now_s) - self.settings.cold_c) <= STABLE_C

    def takes_s(self) -> float:
        """How long the next spectrum takes."""
        settings = self.settings
        exposure_us = self._old_us or settings.integration_us
        slower = 10 if "slow" in self._quirks else 1
        return (settings.delay_us + exposure_us * settings.averages * slower) / 1e6

    def spectrum(self, now_s: float, faults: Ask) -> bytes:
        """Take a spectrum and return it as it goes into a message."""
        if faults("stale", self.frames + 1) and self._last is not None:
            self.frames += 1
            self.meant.append(self.meant[-1])
            return self._last
        stale = self._old_us is not None
        exposure_us, self._old_us = self._old_us or self.settings.integration_us, None
        shots = []
        for _ in range(self.settings.averages):
            self.frames += 1
            shots.append(self._expose(exposure_us, now_s, glint=faults("saturate", self.frames) is not None))
        if not stale:
            self._fresh += 1
            if self._frames_per_sample and self._fresh % self._frames_per_sample == 0:
                self.scene.used()
        counts = self._processed(np.mean(shots, axis=0))
        self.meant.append(counts)
        data = counts.astype(self.model.word).tobytes()
        if self.model.word == "<u4":
            ticks_us = round(now_s * 1e6) + self.frames
            data = METADATA.pack(self.frames, ticks_us, exposure_us, 0, self.settings.trigger) + data
        if "double" in self._quirks:
            data *= 2
        self._last = data
        return data

    def _expose(self, exposure_us: int, now_s: float, *, glint: bool) -> NDArray[np.int32]:
        light = self.scene.light(self._nm, laser_mw=self.laser_mw, laser_nm=self.model.laser_nm)
        light = light * self.model.detector.full_scale / 65_535
        if dark := self.model.dark_pixels:
            light[:dark] = light[-dark:] = 0.0
        shot = self._detector.expose(
            light, integration_s=exposure_us / 1e6, detector_c=self.detector_c(now_s), frame=self.frames
        )
        if glint:
            shot[len(shot) // 2 :] = self.model.detector.full_scale
        return shot

    def _processed(self, mean: NDArray[np.float64]) -> NDArray[np.int32]:
        """Do what a former user may have left switched on: binning and smoothing."""
        if group := 2**self.settings.binning:
            mean = mean[: len(mean) // group * group].reshape(-1, group).mean(axis=1)
        if half := self.settings.boxcar:
            window = np.ones(2 * half + 1)
            mean = np.convolve(mean, window, "same") / np.convolve(np.ones(len(mean)), window, "same")
        return np.rint(mean).astype(np.int32)
