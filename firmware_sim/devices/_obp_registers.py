"""What can be asked of an OBP instrument and told to it, spectra and the line apart: one method a group of messages.

Each takes message type, data and time, and returns the answer's data; b"" for what is told.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np

from firmware_sim.contract import Event
from firmware_sim.devices._obp_bench import Bench
from firmware_sim.devices._obp_models import OCEAN, SimModel

BAD_VERSION, UNKNOWN, BAD_SUM, BAD_LENGTH, BAD_DATA, NOT_READY, UNKNOWN_SUM, NO_VALUE, INTERNAL = (
    1, 2, 3, 5, 6, 7, 8, 12, 13,
)  # fmt: skip
U8, U16, U32, F32 = struct.Struct("<B"), struct.Struct("<H"), struct.Struct("<I"), struct.Struct("<f")
SOFTWARE_TRIGGER = 0x110120

SETTERS = {  # message -> setting, layout, limits
    0x110010: ("integration_us", U32, 0, 0),
    0x110110: ("trigger", U8, 0, 3),
    0x110290: ("binning", U8, 0, 3),
    0x110410: ("lamp", U8, 0, 1),
    0x110510: ("delay_us", U32, 0, 335_500),
    0x120010: ("averages", U16, 1, 5_000),
    0x121010: ("boxcar", U8, 0, 15),
}
GETTERS = {
    0x110000: ("integration_us", U32),
    0x110100: ("trigger", U8),
    0x110280: ("binning", U8),
    0x110400: ("lamp", U8),
    0x110500: ("delay_us", U32),
    0x120000: ("averages", U16),
    0x121000: ("boxcar", U8),
}
COMMANDS = {  # what is told, and not answered unless an acknowledgement is wanted
    *SETTERS, 0x000, 0x001, 0x210, 0x310, 0x810, 0x814, 0x8F0, 0x100830, 0x100832, SOFTWARE_TRIGGER, 0x420010,
    0x420011, 0x420012, 0x810031, 0x810051,
}  # fmt: skip

Handler = Callable[[int, bytes, float], bytes]


class Refused(Exception):
    """The request is answered with an error number."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Registers:
    """One unit's. tell: called with what the laser does."""

    def __init__(
        self,
        model: SimModel,
        bench: Bench,
        quirks: frozenset[str],
        serial_number: str,
        tell: Callable[[Event], None],
    ) -> None:
        self._model = model
        self._bench = bench
        self._quirks = quirks
        self._serial_number = serial_number
        self._tell = tell
        self._texts = {0x200: b"", 0x302: b""}

    def table(self) -> dict[int, Handler]:
        """Return who serves which message: what the model does not know is not there."""
        model = self._model
        served: dict[Handler, tuple[int, ...]] = {
            self._say: (0x080, 0x090, 0x100, 0x101, 0x200, 0x201, 0x300, 0x301, 0x302),
            self._keep_text: (0x210, 0x310),
            self._set: tuple(SETTERS),
            self._get: tuple(GETTERS),
            self._calibration: (0x180100, 0x180101, 0x181100, 0x181101, 0x183100, 0x183101, 0x186000),
            self._temperature: (0x400000, 0x400001, 0x400002),
        }
        if model.tells_limits:
            served[self._limits] = (0x110001, 0x110002, 0x110003)
        if model.tells_product:
            served[self._product] = (0xE00, 0xE01)
        if model.tells_saturation:
            served[self._saturation] = (0x1010A0,)
        if model.word == "<u4":
            served[self._buffering] = (0x100820, 0x100822, 0x100830, 0x100832, 0x100900)
        if model.cooled:
            served[self._cooler] = (*range(0x420000, 0x420005), 0x420010, 0x420011, 0x420012)
        if model.laser_nm is not None and "no-laser" not in self._quirks:
            served[self._laser] = (0x810021, 0x810031, 0x810041, 0x810051)
        return {message_type: handler for handler, types in served.items() for message_type in types}

    def _say(self, message_type: int, data: bytes, now_s: float) -> bytes:
        match message_type:
            case 0x080:
                return U8.pack(2)
            case 0x090:
                return U16.pack(0x0110)
            case 0x100:
                return self._serial_number.encode("ascii")
            case 0x101 | 0x201 | 0x301:
                return U8.pack(15)
            case 0x300:
                return U8.pack(1)
        return self._texts[message_type]

    def _keep_text(self, message_type: int, data: bytes, now_s: float) -> bytes:
        self._texts[0x200 if message_type == 0x210 else 0x302] = data[:15]
        return b""

    def _set(self, message_type: int, data: bytes, now_s: float) -> bytes:
        name, layout, low, high = SETTERS[message_type]
        (value,) = layout.unpack(data)
        if message_type == 0x110010:
            low, high = self._model.integration_us
        if not low <= value <= high:
            raise Refused(BAD_DATA)
        if message_type == 0x110010:
            self._bench.set_integration(value)
        else:
            setattr(self._bench.settings, name, value)
        return b""

    def _get(self, message_type: int, data: bytes, now_s: float) -> bytes:
        name, layout = GETTERS[message_type]
        return layout.pack(getattr(self._bench.settings, name))

    def _limits(self, message_type: int, data: bytes, now_s: float) -> bytes:
        return U32.pack((*self._model.integration_us, 1)[message_type - 0x110001])

    def _product(self, message_type: int, data: bytes, now_s: float) -> bytes:
        return U16.pack(OCEAN if message_type == 0xE00 else self._model.product_id)

    def _saturation(self, message_type: int, data: bytes, now_s: float) -> bytes:
        return U32.pack(self._model.detector.full_scale)

    def _calibration(self, message_type: int, data: bytes, now_s: float) -> bytes:
        if message_type == 0x186000:
            return np.array(self._model.hot_pixels, dtype="<u2").tobytes()
        stored = {
            0x180100: self._model.wavelength,
            0x181100: self._model.nonlinearity,
            0x183100: self._model.stray_light,
        }
        values = stored[message_type & ~1]
        if message_type in stored:
            return U8.pack(len(values))
        (index,) = U8.unpack(data)
        if index >= len(values):
            raise Refused(NO_VALUE)
        return b"\xff" * 4 if "blank" in self._quirks else F32.pack(values[index])

    def _temperature(self, message_type: int, data: bytes, now_s: float) -> bytes:
        values = (self._bench.detector_c(now_s), 0.0, 33.5)
        if message_type == 0x400000:
            return U8.pack(len(values))
        if message_type == 0x400002:
            return struct.pack("<3f", *values)
        (index,) = U8.unpack(data)
        if index >= len(values):
            raise Refused(NO_VALUE)
        return F32.pack(values[index])

    def _buffering(self, message_type: int, data: bytes, now_s: float) -> bytes:
        settings = self._bench.settings
        match message_type:
            case 0x100820:
                return U32.pack(15_000)
            case 0x100822:
                return U32.pack(settings.buffer_size)
            case 0x100832:
                (settings.buffer_size,) = U32.unpack(data)
            case 0x100900:
                return U32.pack(0)
            case 0x100830:
                self._bench.clear_buffer()
        return b""

    def _cooler(self, message_type: int, data: bytes, now_s: float) -> bytes:
        bench = self._bench
        match message_type:
            case 0x420000:
                return U8.pack(bench.settings.cooler_on)
            case 0x420001:
                return F32.pack(bench.settings.cold_c)
            case 0x420002:
                return U8.pack(bench.settings.fan_on)
            case 0x420003:
                return U8.pack(bench.is_stable(now_s))
            case 0x420004:
                return F32.pack(bench.detector_c(now_s))
            case 0x420010:
                bench.set_cooler(now_s, on=bool(U8.unpack(data)[0]))
            case 0x420011:
                (cold_c,) = F32.unpack(data)
                if not -60.0 <= cold_c <= 50.0:
                    raise Refused(BAD_DATA)
                bench.set_cooler(now_s, cold_c=cold_c)
            case 0x420012:
                bench.settings.fan_on = bool(U8.unpack(data)[0])
        return b""

    def _laser(self, message_type: int, data: bytes, now_s: float) -> bytes:
        bench = self._bench
        module, source = struct.unpack_from("<2B", data)
        if (module, source) != (0, 0):
            raise Refused(NO_VALUE)
        match message_type:
            case 0x810021:
                return U8.pack(bench.laser_on)
            case 0x810031:
                (on,) = U8.unpack(data[2:])
                for change in bench.switch_laser(bool(on), now_s):
                    self._tell(change)
            case 0x810041:
                return F32.pack(bench.settings.intensity)
            case 0x810051:
                (intensity,) = F32.unpack(data[2:])
                if not 0.0 <= intensity <= 1.0:
                    raise Refused(BAD_DATA)
                bench.settings.intensity = intensity
        return b""
