"""What tells one Ocean model of the legacy protocol from another, on one screen.

Sources: python-seabreeze, pyseabreeze/devices.py and features/spectrometer.py; libseabreeze for Flame-NIR and for what
it calls pixels of the Apex; Ocean's data sheets. What is only our reading is marked [inferred].
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

VENDOR_ID = 0x2457
MICROSECOND, MILLISECOND = 1, 1000
SaturationLayout = Literal["u16 at 4", "u32 at 4", "u16 at 0"]  # offsets into the 15 bytes of slot 17


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One product id. Times in us, pixels from 0.

    transfer_pixels, transfer_bytes: words and size of one spectrum on the wire. tick_us: unit of the integration time
    there. full_scale: largest reading, and what a stored saturation is scaled to. mask: XOR on each word.
    saturation: where slot 17 keeps the reading at which this unit saturates, None where it does not; trusted above
    `saturation_above`. active: first and last pixel that see the spectrum. first_index: what the wavelength polynomial
    takes for pixel 0. split_bytes: part of a spectrum that comes by the second pipe at high speed.
    """

    name: str
    transfer_pixels: int
    integration_us: tuple[int, int]
    tick_us: int = MICROSECOND
    full_scale: int = 65_535
    mask: int = 0
    saturation: SaturationLayout | None = None
    saturation_above: int = 0
    dark_pixels: tuple[int, ...] = ()
    active: tuple[int, int] | None = None
    first_index: int = 0
    split_bytes: int = 0
    has_sync: bool = True
    has_cooler: bool = False
    has_board_sensor: bool = False
    transfer_bytes: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "transfer_bytes", 2 * self.transfer_pixels + self.has_sync)


def span(first: int, last: int) -> tuple[int, ...]:
    """Return these pixels, both ends included."""
    return tuple(range(first, last + 1))


S10420_DARK = span(0, 3) + span(2064, 2067)  # detector of Maya and Apex: 2068 pixels, then filler words
S10420_ACTIVE = (4, 2063)  # [inferred] between its dark pixels
TCD1304_ACTIVE = (21, 3668)  # data sheet of the USB4000: 22 to 3669, counted from 1; what follows is filler

MODELS: dict[int, Model] = {
    0x1012: Model(
        name="HR4000", transfer_pixels=3840, integration_us=(10, 655_350_000), full_scale=16_383, mask=0x2000,
        dark_pixels=span(2, 12), active=TCD1304_ACTIVE, split_bytes=2048, has_board_sensor=True,
    ),
    0x1016: Model(
        name="HR2000+", transfer_pixels=2048, integration_us=(1_000, 655_350_000), full_scale=16_383, mask=0x2000,
        dark_pixels=span(2, 23), has_board_sensor=True,
    ),
    0x1018: Model(  # [inferred] active: the index of the first lit pixel is 0, and there are 1024 of them
        name="QE65000", transfer_pixels=1280, integration_us=(8_000, 1_600_000_000), tick_us=MILLISECOND, mask=0x8000,
        dark_pixels=span(0, 3) + span(1040, 1043), active=(10, 1033), first_index=-10, has_cooler=True,
    ),
    0x101E: Model(
        name="USB2000+", transfer_pixels=2048, integration_us=(1_000, 655_350_000), saturation="u16 at 4",
        dark_pixels=span(6, 20), has_board_sensor=True,
    ),
    0x1022: Model(
        name="USB4000 / Flame-T", transfer_pixels=3840, integration_us=(10, 65_535_000), saturation="u16 at 4",
        dark_pixels=span(5, 15), active=TCD1304_ACTIVE, split_bytes=2048, has_board_sensor=True,
    ),
    0x1026: Model(
        name="NIRQuest512", transfer_pixels=512, integration_us=(1_000, 1_600_000_000), tick_us=MILLISECOND,
        mask=0x8000, saturation="u32 at 4", has_cooler=True,
    ),
    0x1028: Model(
        name="NIRQuest256", transfer_pixels=256, integration_us=(1_000, 1_600_000_000), tick_us=MILLISECOND,
        mask=0x8000, saturation="u32 at 4", has_cooler=True,
    ),
    0x102A: Model(
        name="Maya2000 Pro", transfer_pixels=2304, integration_us=(7_200, 65_000_000), full_scale=64_000,
        saturation="u16 at 0", saturation_above=32_768, dark_pixels=S10420_DARK, active=S10420_ACTIVE,
    ),
    0x1044: Model(  # Raman at 785 nm; its laser is a separate unit that this protocol does not reach
        name="Apex", transfer_pixels=2304, integration_us=(15_000, 1_600_000_000), full_scale=64_000,
        saturation="u16 at 0", saturation_above=32_768, dark_pixels=S10420_DARK, active=S10420_ACTIVE,
    ),
    0x104B: Model(  # [inferred] the place of the saturation, which libseabreeze reads as for the USB2000+
        name="Flame-NIR", transfer_pixels=128, integration_us=(1_000, 655_350_000), saturation="u16 at 4",
        has_sync=False,
    ),
}  # fmt: skip

FLAME_S_FPGA = 3  # a USB2000+ whose FPGA has this major version or a later one is a Flame-S
