"""The models that the OBP simulator can be, as facts: detector, spectrum, memory of a typical unit, USB pipes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from firmware_sim.array import ArrayFacts

RAW, CORRECTED, BUFFERED = 0x101100, 0x101000, 0x100928
OCEAN = 0x2457


@dataclass(frozen=True, slots=True, kw_only=True)
class SimModel:
    """One model. spectra: messages that ask for one. wavelength: stored coefficients, single precision.

    pipes: (outward, inward) addresses. padded: transfers are filled up to this many bytes.
    """

    name: str
    product_id: int
    detector: ArrayFacts
    integration_us: tuple[int, int]
    wavelength: tuple[float, ...]
    spectra: tuple[int, ...] = (RAW, CORRECTED)
    word: str = "<u2"
    pipes: tuple[tuple[int, int], ...] = ((0x01, 0x81),)
    packet_bytes: int = 64
    padded: int = 1
    tells_limits: bool = True
    tells_product: bool = False
    tells_saturation: bool = False
    nonlinearity: tuple[float, ...] = (1.0, -2.1e-6, 3.0e-11, 0.0, 0.0, 0.0, 0.0, 0.0)
    stray_light: tuple[float, ...] = (0.002, 0.0)
    hot_pixels: tuple[int, ...] = ()
    dark_pixels: int = 0  # at each end, without light
    cooled: bool = False
    laser_nm: float | None = None


STS_DETECTOR = ArrayFacts(
    pixels=1024, full_scale=16_383, offset_counts=1_500.0, read_counts=5.0, photon_counts=0.2, dark_per_s=60.0
)
MODELS: Mapping[str, SimModel] = {
    "sts-nir": SimModel(
        name="STS-NIR",
        product_id=0x4000,
        detector=STS_DETECTOR,
        integration_us=(10, 85_000_000),
        wavelength=(640.2, 0.4552, -1.2e-5, -2.0e-9),
        pipes=((0x01, 0x81), (0x02, 0x82)),
        hot_pixels=(77, 512),
    ),
    "sts-vis": SimModel(
        name="STS-VIS",
        product_id=0x4000,
        detector=STS_DETECTOR,
        integration_us=(10, 85_000_000),
        wavelength=(338.1, 0.4871, -2.1e-5, -2.0e-9),
        pipes=((0x01, 0x81), (0x02, 0x82)),
    ),
    "spark": SimModel(
        name="Spark",
        product_id=0x4200,
        detector=STS_DETECTOR,
        integration_us=(10, 85_000_000),
        wavelength=(379.0, 0.338, -2.2e-5, 0.0),
    ),
    "qe-pro": SimModel(
        name="QE Pro",
        product_id=0x4004,
        detector=ArrayFacts(
            pixels=1044, full_scale=200_000, offset_counts=2_400.0, read_counts=3.0, dark_per_s=4.0, dark_at_c=-10.0
        ),
        integration_us=(8_000, 1_600_000_000),
        wavelength=(782.1, 0.4203, -4.1e-5, -5.0e-9),
        spectra=(BUFFERED,),
        word="<u4",
        packet_bytes=512,
        tells_saturation=True,
        dark_pixels=10,
        cooled=True,
    ),
    "ventana": SimModel(
        name="Ventana-785L",
        product_id=0x5000,
        detector=ArrayFacts(pixels=1024, offset_counts=1_100.0, dark_per_s=12.0),
        integration_us=(22_000, 60_000_000),
        wavelength=(798.5, 0.1452, -1.4e-5, 0.0),
        pipes=((0x01, 0x82),),
        packet_bytes=512,
        tells_limits=False,
        laser_nm=785.0,
    ),
    "fx": SimModel(
        name="Ocean FX",
        product_id=0x2001,
        detector=ArrayFacts(pixels=2136, offset_counts=1_500.0, dark_per_s=80.0),
        integration_us=(6_000, 10_000_000),
        wavelength=(349.2, 0.3601, -2.5e-5, 0.0),
        spectra=(CORRECTED,),
        packet_bytes=512,
        padded=4,
        tells_product=True,
        tells_saturation=True,
    ),
    "hdx": SimModel(
        name="Ocean HDX",
        product_id=0x2003,
        detector=ArrayFacts(pixels=2068, offset_counts=1_300.0, dark_per_s=30.0),
        integration_us=(6_000, 10_000_000),
        wavelength=(199.4, 0.4603, -1.8e-5, 0.0),
        spectra=(CORRECTED,),
        packet_bytes=512,
        tells_product=True,
    ),
}
