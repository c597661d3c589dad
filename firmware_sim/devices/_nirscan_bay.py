"""The scan memory of the instrument: one scan under way, the image of the last good one, and the file being fetched."""

from __future__ import annotations

from dataclasses import dataclass, field

from firmware_sim import detector
from firmware_sim.contract import Event, OperatorError
from firmware_sim.devices import _nirscan_scan as scanning
from firmware_sim.devices import _nirscan_tpl as tpl
from firmware_sim.faults import Fault
from firmware_sim.sample import Tray, tile

FILE_SCAN, FILE_REFERENCE = 0, 2
SERIAL_NUMBER_BYTES = 7
FACTORY_REFERENCE_SCANS = 10_000  # its noise is that of a scan nobody will reach
When = tuple[int, int, int, int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One instrument as it left the factory. The coefficients are those of the real unit 818R045 (NIR-M-R2).

    versions: Tiva, DLPC, DLPC flash, spectrum library (0x00MMmmpp), calibration, reference, configuration.
    Raises OperatorError for a serial number that the instrument cannot keep.
    """

    serial_number: str = "SIM0001"
    model: str = "NIR-M-R2"
    versions: tuple[int, int, int, int, int, int, int] = (0x020100, 0x020000, 0x020100, 0x020003, 1, 3, 1)
    coefficients: tpl.Coefficients = field(
        default=tpl.Coefficients(
            shift=(-6.20249141707927, 0.0552441215585706, -0.000122501697169825),
            pixel_to_nm=(1776.51064022294, -0.918730919349196, -0.000243316388033348),
        )
    )

    def __post_init__(self) -> None:
        text = self.serial_number
        if not (0 < len(text) <= SERIAL_NUMBER_BYTES and text.isascii() and text.isprintable()):
            raise OperatorError(
                f"serial number {text!r}: the instrument keeps 1 to {SERIAL_NUMBER_BYTES} printable ASCII characters"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanOrder:
    """What the firmware asks of the bay. lamp None: automatic, else its output. gain None: chosen by a first pass."""

    configuration: tpl.Configuration
    gain: int | None
    lamp: float | None
    when: When
    faults: dict[str, Fault | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Running:
    done_at_s: float
    image: bytes | None
    event: Event


class ScanBay:
    """Scans and keeps. A scan that fails leaves no image, uses up no sample and no chance, and moves no index."""

    def __init__(self, tray: Tray, unit: Unit, seed: int) -> None:
        self.tray = tray
        self._unit = unit
        self._seed = seed
        self._session = 0
        self.scans = 0  # good ones since the simulator started; climate and chance hang on it
        self.boot()

    def boot(self) -> None:
        """Forget all images; a new session of scan indices begins."""
        self.gain_used = detector.GAINS[-1]
        self._session += 1
        self._scans_of_session = 0
        self._image: bytes | None = None
        self._late: bytes | None = None  # done, but the next transfer is still of the scan before
        self._withheld = False
        self._running: _Running | None = None
        self._file: bytes | None = None
        self._file_at = 0

    @property
    def done_at_s(self) -> float | None:
        """When the scan under way ends; None when there is none."""
        return self._running.done_at_s if self._running else None

    @property
    def says_done(self) -> bool:
        """What the instrument says to the question whether it is done."""
        return self._running is None or self._withheld

    def start(self, order: ScanOrder, done_at_s: float) -> None:
        """Scan what lies there; the image is there when `done_at_s` has come."""
        view = self.tray.view()
        fails = bool(order.faults.get("error") or order.faults.get("stale"))
        image = None if fails else self._scanned(order)
        self._late = None
        self._withheld = bool(order.faults.get("early_done"))
        event: Event = {
            "event": "scan",
            "serial_number": self._unit.serial_number,
            "scan_index": self._index,
            "sample": view.label,
            "row": view.row,
            "ok": image is not None,
        }
        self._running = _Running(done_at_s=done_at_s, image=image, event=event)

    def settle(self, now_s: float) -> Event | None:
        """End the scan under way if its time has come, and return what to tell about it."""
        running = self._running
        if running is None or now_s < running.done_at_s:
            return None
        self._running = None
        if running.image is not None and self._withheld:
            self._late = running.image
        elif running.image is not None:
            self._image = running.image
        return running.event

    def open_file(self, kind: int, when: When) -> int | None:
        """Begin a transfer and return its size; None when there is no such file."""
        match kind:
            case 0:
                self._file = self._image
                self._withheld = False
                if self._late is not None:
                    self._image, self._late = self._late, None
            case 2:
                self._file = self._factory_reference(when)
            case _:
                return None
        self._file_at = 0
        return None if self._file is None else len(self._file)

    def next_chunk(self, size: int) -> bytes | None:
        """Return the next `size` bytes of the file at most, b"" behind its end; None when no transfer was begun."""
        if self._file is None:
            return None
        chunk = self._file[self._file_at : self._file_at + size]
        self._file_at += len(chunk)
        return chunk

    @property
    def _index(self) -> int:
        return (self._session & 0xFFFF) << 16 | (self._scans_of_session & 0xFFFF)

    def _scanned(self, order: ScanOrder) -> bytes:
        source = self.tray.source
        reading = scanning.scan(
            order.configuration,
            self.tray.view(),
            self._unit.coefficients.pixel_to_nm,
            scans=self.scans,
            seed=self._seed,
            gain=order.gain,
            lamp=order.lamp,
            ideal_floor=source.lowest_absorbance if source.ideal else None,
            glint=order.faults.get("saturate") is not None,
            drift=self.tray.drift,
        )
        self.tray.used()
        self.scans += 1
        self._scans_of_session += 1
        self.gain_used = reading.gain
        if order.faults.get("short_light"):
            return bytes(tpl.SCAN_BYTES)  # the firmware's library gives up and the memory keeps zeros
        return self._image_of(reading, order.configuration, self._index, order.when)

    def _factory_reference(self, when: When) -> bytes:
        configuration = tpl.Configuration(serial_number=self._unit.serial_number)
        reading = scanning.scan(
            configuration,
            tile(),
            self._unit.coefficients.pixel_to_nm,
            scans=FACTORY_REFERENCE_SCANS,
            seed=self._seed,
            gain=None,
            lamp=1.0,
            ideal_floor=None,
        )
        return self._image_of(reading, configuration, 0, when)

    def _image_of(
        self, reading: scanning.Reading, configuration: tpl.Configuration, scan_index: int, when: When
    ) -> bytes:
        return tpl.scan_image(
            tpl.ScanData(
                name=configuration.name[:19],
                when=when,
                system_c=reading.climate.system_c,
                detector_c=reading.climate.detector_c,
                humidity_percent=reading.climate.humidity_percent,
                lamp_photodiode=reading.climate.lamp_photodiode,
                scan_index=scan_index,
                coefficients=self._unit.coefficients,
                serial_number=self._unit.serial_number,
                gain=reading.gain,
                configuration=configuration,
                adc=tuple(reading.adc.tolist()),
            )
        )
