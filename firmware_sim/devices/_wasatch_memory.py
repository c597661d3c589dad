"""The memory of a simulated Wasatch unit: pages as the maker leaves them for each model, and as users find them."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from firmware_sim.contract import OperatorError

PAGES, PAGE_BYTES = 8, 64
STATES = ("good", "blank", "old", "bad-floats", "no-laser", "no-excitation")
FULL_MW = 100 / 0.2222  # what the laser gives all the time on: the stored 0.2222 % per mW are of it

# A WP-785 as the maker wrote it: 797.2 nm + 0.1613 p - 1.05e-5 p^2 - 4.7e-9 p^3; laser 784.82 nm, 20 to 450 mW.
WRITTEN = {
    # model, serial number; cooler and laser, slit 25 um, 100 ms, 10 C; gain 1.9, format 18
    0: """
    57 50 2d 37 38 35 2d 43 00 00 00 00 00 00 00 00
    57 50 2d 30 31 32 33 34 00 00 00 00 00 00 00 00
    00 00 00 00 01 00 01 00 00 19 00 64 00 0a 00 00
    33 33 f3 3f 00 00 33 33 f3 3f 00 00 00 00 00 12
    """,
    # wavelengths, C to DAC, 20 to -20 C, ADC to C, thermistor, date
    1: """
    cd 4c 47 44 d4 2b 25 3e 28 29 30 b7 a3 7d a1 b1
    ec e9 5e 45 02 8b 0f c3 18 42 a6 be 14 00 ec ff
    00 00 84 42 0a d7 23 bc a2 e7 3b b5 10 27 7a 0d
    31 31 2f 32 30 2f 32 30 32 36 00 00 45 44 47 00
    """,
    # detector, 1024 pixels, 5 s of warm-up, 64 rows, region of interest 0 to 1023
    2: """
    53 31 36 30 31 31 2d 31 30 30 36 00 00 00 00 00
    00 04 05 40 00 00 00 00 00 00 04 00 00 ff 03 00
    """,
    # 0.2222 % per mW, 450 and 20 mW, 784.82 nm, 1 to 60000 ms, resolution 7, watchdog 10 s
    3: """
    00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
    66 88 63 3e 00 00 00 00 00 00 00 00 00 00 e1 43
    00 00 a0 41 7b 34 44 44 01 00 00 00 60 ea 00 00
    00 00 e0 40 0a 00 00 00 00 00 00 00 00 00 00 00
    """,
    # bad pixel 77, no others; the last byte is the sub-format: intensity
    5: "4d 00" + 14 * "ff ff" + 33 * "00" + "01",
    # intensity: order, coefficients 1.0 and 1e-4, then zeros
    6: "05 00 00 80 3f 17 b7 d1 38",
}
WP_785 = b"".join(bytes.fromhex(WRITTEN.get(page, "")).ljust(PAGE_BYTES, b"\0") for page in range(PAGES))

Edit = tuple[int, int, str, object]  # page, offset, layout, value


@dataclass(frozen=True, slots=True, kw_only=True)
class SimModel:
    """One model. edits: where its memory differs from that of a WP-785. firmware: J.M.N.P."""

    name: str
    title: str
    product_id: int
    firmware: tuple[int, int, int, int]
    fpga: str
    pixels: int = 1024
    detector: str = "S16011-1006"
    dark_per_s: float = 20.0
    edits: tuple[Edit, ...] = ()

    @property
    def is_arm(self) -> bool:
        """Whether the board is an ARM one, with a watchdog for its laser."""
        return self.product_id == 0x4000


MODELS = {
    model.name: model
    for model in (
        SimModel(name="wp785", title="WP-785-C", product_id=0x1000, firmware=(10, 0, 0, 11), fpga="027-003"),
        SimModel(name="wp785xs", title="WP-785-C", product_id=0x4000, firmware=(1, 0, 3, 5), fpga="027-003"),
        SimModel(
            name="wp785x2048",
            title="WP-785X-2048",
            product_id=0x1000,
            firmware=(10, 0, 0, 11),
            fpga="027-003",
            pixels=2048,
            detector="S10141-1108",
            edits=(
                (1, 4, "f", 0.0806), (1, 8, "f", -2.6e-6), (1, 12, "f", -5.9e-10), (2, 16, "H", 2048),
                (2, 25, "H", 2048), (2, 29, "H", 2047),
            ),
        ),
        SimModel(
            name="wp1064",
            title="WP-1064",
            product_id=0x2000,
            firmware=(10, 0, 0, 11),
            fpga="025-007",
            pixels=512,
            detector="G9214-512",
            dark_per_s=4_000.0,
            edits=(
                (0, 54, "f", 2.0), (0, 58, "h", -12), (1, 0, "f", 1070.5), (1, 4, "f", 0.662), (1, 8, "f", -2.5e-5),
                (1, 12, "f", -1e-8), (2, 16, "H", 512), (2, 25, "H", 512), (2, 29, "H", 511), (3, 36, "f", 1064.0),
                (0, 45, "h", -15), (1, 16, "f", 2600.0), (1, 20, "f", -60.0), (1, 24, "f", -0.1), (5, 63, "B", 0),
            ),
        ),
        SimModel(
            name="xs-imx",
            title="WP-785-SiG",
            product_id=0x4000,
            firmware=(1, 0, 43, 20),
            fpga="01.2.25",
            pixels=1952,
            detector="IMX385",
            dark_per_s=60.0,
            edits=(
                (0, 36, "B", 0), (0, 39, "H", 0x0041), (0, 48, "f", 8.0), (1, 4, "f", 0.0846), (1, 8, "f", -2.9e-6),
                (1, 12, "f", -6.8e-10), (2, 16, "H", 1952), (2, 18, "B", 0), (2, 25, "H", 1952), (2, 27, "H", 30),
                (2, 29, "H", 1899), (2, 31, "H", 250), (2, 33, "H", 750), (3, 28, "f", 100.0), (3, 32, "f", 5.0),
            ),
        ),
    )
}  # fmt: skip


def image_of(model: SimModel, serial_number: str) -> bytes:
    """Return the eight pages as the maker wrote them."""
    named: tuple[Edit, ...] = (
        (0, 0, "16s", model.title.encode("ascii")),
        (0, 16, "16s", serial_number.encode("ascii")),
        (2, 0, "16s", model.detector.encode("ascii")),
    )
    return edited(WP_785, (*model.edits, *named))


def in_state(image: bytes, state: str) -> bytes:
    """Return the memory as it was never written, of an older format, with floats that are none, without a laser, or
    without its wavelength. Raises OperatorError for any other state.
    """
    match state:
        case "good":
            return image
        case "blank":
            return b"\xff" * len(image)
        case "old":  # format 4: integration limits on page 2, no feature mask, watchdog, fifth coefficient, sub-format
            blanks = tuple((3, at, "I", 0xFFFF_FFFF) for at in (40, 44, 48, 52))
            return edited(image, ((0, 63, "B", 4), (2, 21, "H", 1), (2, 23, "H", 60_000), *blanks, (5, 63, "B", 0xFF)))
        case "bad-floats":  # gain, cooler, laser power
            return edited(
                image, tuple((page, at, "I", 0x7FC0_0000) for page, at in ((0, 48), (1, 20), (1, 36), (3, 16)))
            )
        case "no-laser":
            return edited(image, ((0, 38, "B", 0),))
        case "no-excitation":
            return edited(image, ((3, 36, "I", 0x7FC0_0000),))
    raise OperatorError(f"memory {state!r}; there are {', '.join(STATES)}")


def edited(image: bytes, edits: Iterable[Edit]) -> bytes:
    """Return the image with fields written over: (page, offset, layout of struct, value)."""
    changed = bytearray(image)
    for page, offset, layout, value in edits:
        struct.pack_into(f"<{layout}", changed, page * PAGE_BYTES + offset, value)
    return bytes(changed)


def field(image: bytes, page: int, offset: int, layout: str) -> tuple[float, ...]:
    """Return numbers of the image."""
    return struct.unpack_from(f"<{layout}", image, page * PAGE_BYTES + offset)
