"""The models that speak OBP: ids, endpoints, spectrum layouts and limits, as facts.

Sources: pyseabreeze 2.11.0 `devices.py` and libseabreeze's features for ids, pipes and lengths; STS sheet
030-00000-003-05 (three ranges, 14 bits), QE Pro sheet 891-00000-000-05 (metadata, order of dark pixels), Ventana sheet
891-00000-200-05 (785L only has a laser). The "+ 64" that pyseabreeze adds to some spectra is the frame around them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

OCEAN = 0x2457
RAW_NOW, CORRECTED_NOW, BUFFERED_32 = 0x101100, 0x101000, 0x100928


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model. word_bytes: of a pixel. metadata_bytes: before the pixels. payload_bytes: of one spectrum, with them.

    full_scale: largest count there can be. saturation: from here on a count says nothing, where the unit does not
    tell. outward, inward: USB pipes.
    """

    name: str
    product_id: int
    pixels: int
    integration_us: tuple[int, int]
    full_scale: int
    saturation: int
    spectrum: int = RAW_NOW
    word_bytes: int = 2
    metadata_bytes: int = 0
    outward: int = 0x01
    inward: int = 0x81
    dark_pixels: tuple[int, ...] = ()
    active: tuple[int, int] | None = None
    cooled: bool = False
    laser: bool = False
    payload_bytes: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "payload_bytes", self.metadata_bytes + self.pixels * self.word_bytes)


STS = Model(
    name="STS", product_id=0x4000, pixels=1024, integration_us=(10, 85_000_000), full_scale=16_383, saturation=16_383
)
SPARK = Model(
    name="Spark", product_id=0x4200, pixels=1024, integration_us=(10, 85_000_000), full_scale=16_383, saturation=16_383
)
QE_PRO = Model(
    name="QE Pro",
    product_id=0x4004,
    pixels=1044,
    integration_us=(8_000, 1_600_000_000),
    full_scale=262_143,
    saturation=200_000,  # libseabreeze: "technically 18-bit, but internally limited"
    spectrum=BUFFERED_32,
    word_bytes=4,
    metadata_bytes=32,
    dark_pixels=(0, 1, 2, 3, 1040, 1041, 1042, 1043),
    active=(10, 1033),
    cooled=True,
)
VENTANA = Model(
    name="Ventana",
    product_id=0x5000,
    pixels=1024,
    integration_us=(22_000, 60_000_000),
    full_scale=65_535,
    saturation=65_535,
    inward=0x82,
    laser=True,
)
FX = Model(
    name="Ocean FX",
    product_id=0x2001,
    pixels=2136,
    integration_us=(6_000, 10_000_000),
    full_scale=65_535,
    saturation=65_535,
    spectrum=CORRECTED_NOW,
)
HDX = Model(
    name="Ocean HDX",
    product_id=0x2003,
    pixels=2068,
    integration_us=(6_000, 10_000_000),
    full_scale=65_535,
    saturation=65_535,
    spectrum=CORRECTED_NOW,
)
MODELS = (STS, SPARK, QE_PRO, VENTANA, FX, HDX)
BY_PRODUCT_ID = {model.product_id: model for model in MODELS}
LONGEST_PAYLOAD_BYTES = max(model.payload_bytes for model in MODELS)

STS_RANGES = (("STS-UV", 190.0, 650.0), ("STS-VIS", 350.0, 800.0), ("STS-NIR", 650.0, 1100.0))
RAMAN_LINES_NM = (532.0, 785.0)  # that Ventanas are sold for
RAMAN_SPAN_NM = 300.0  # a Spark, the narrowest of the others, has 320 nm
VIS_NIR_SPAN_NM = 600.0  # a Ventana-VIS-NIR has 670 nm, 430 to 1100; the widest STS 460


def excitation_nm(model: Model, first_nm: float, last_nm: float) -> float | None:
    """Return the line that a Raman model is made for; its range begins there, at whichever end of the detector."""
    if not model.laser:
        return None
    begins_nm = min(first_nm, last_nm)
    return next((line for line in RAMAN_LINES_NM if line - 10.0 <= begins_nm <= line + 60.0), None)


def by_range(model: Model, first_nm: float, last_nm: float) -> Model:
    """Return the Ventana for an STS that has the range of one: without a light source their spectra look alike."""
    if model is not STS:
        return model
    span_nm = abs(last_nm - first_nm)
    is_raman = span_nm < RAMAN_SPAN_NM and excitation_nm(VENTANA, first_nm, last_nm) is not None
    return VENTANA if is_raman or span_nm > VIS_NIR_SPAN_NM else model


def name_of(model: Model, first_nm: float, last_nm: float) -> str:
    """Return the model's name; of an STS the one whose range lies nearest, as the three differ in nothing else."""
    if model is not STS:
        return model.name
    return min(STS_RANGES, key=lambda sold: abs(sold[1] - first_nm) + abs(sold[2] - last_nm))[0]
