"""Published positions of the bands and lines that an axis is checked against: data, no code that computes.

Raman shifts: ASTM E1840-96 (2014), averages of seven laboratories, with its relative strengths; `*` there is 5 here.
NMIJ RM 8158-a polystyrene agrees with it within 1.1 to 1.2 1/cm (k = 2), Anal. Sci. 37, 1533 (2021).
Neon: NIST Atomic Spectra Database, Ne I, wavelengths in standard air; only lines that stand alone for a handheld's
resolution or are the brighter of a pair. Their strengths are rough: what silicon detectors show of a pen lamp.
"""

from __future__ import annotations

from dataclasses import dataclass

from edged.spectra.spectrum import AxisUnit

STRONGEST = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One published position, in the material's unit. strength: 1 (weakest) to 5 (the strongest of the material)."""

    position: float
    strength: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """Something with published positions, ascending. `lamp`: emission lines, in nm in air, that no laser moves."""

    name: str
    title: str
    unit: AxisUnit
    source: str
    lines: tuple[Line, ...]
    lamp: bool = False

    def __post_init__(self) -> None:
        positions = [line.position for line in self.lines]
        if not positions or positions != sorted(set(positions)):
            raise ValueError(f"{self.name}: the positions of a material ascend and there is at least one")
        if not all(1 <= line.strength <= STRONGEST for line in self.lines):
            raise ValueError(f"{self.name}: a strength is 1 to {STRONGEST}")


_E1840 = "ASTM E1840-96 (2014)"


def _raman(name: str, title: str, lines: dict[float, int]) -> Material:
    table = tuple(Line(position=position, strength=strength) for position, strength in lines.items())
    return Material(name=name, title=title, unit="cm-1", source=_E1840, lines=table)


POLYSTYRENE = _raman(
    "polystyrene",
    "polystyrene",
    {
        620.9: 2,
        795.8: 1,
        1001.4: 5,
        1031.8: 3,
        1155.3: 1,
        1450.5: 1,
        1583.1: 1,
        1602.3: 3,
        2852.4: 1,
        2904.5: 2,
        3054.3: 3,
    },
)

# fmt: off
CYCLOHEXANE = _raman("cyclohexane", "cyclohexane", {
    384.1: 1, 426.3: 1, 801.3: 5, 1028.3: 2, 1157.6: 1, 1266.4: 2, 1444.4: 2, 2664.4: 1, 2852.9: 4, 2923.8: 3,
    2938.3: 3,
})
PARACETAMOL = _raman("paracetamol", "4-acetamidophenol (paracetamol)", {
    213.3: 1, 329.2: 1, 390.9: 2, 465.1: 1, 504.0: 1, 651.6: 2, 710.8: 1, 797.2: 2, 834.5: 1, 857.9: 3, 968.7: 1,
    1105.5: 1, 1168.5: 3, 1236.8: 3, 1278.5: 2, 1323.9: 4, 1371.5: 2, 1515.1: 1, 1561.6: 2, 1648.4: 3, 2931.1: 2,
    3064.6: 2, 3102.4: 2, 3326.6: 1,
})
TOLUENE_ACETONITRILE = _raman("toluene_acetonitrile", "toluene and acetonitrile, 50:50 v/v", {
    378.5: 1, 521.7: 1, 786.5: 3, 919.0: 1, 1003.6: 5, 1030.6: 2, 1211.4: 1, 1605.1: 1, 2253.7: 3, 2292.6: 1,
    2940.8: 4, 3057.1: 2,
})
NAPHTHALENE = _raman("naphthalene", "naphthalene", {
    513.8: 3, 763.8: 3, 1021.6: 2, 1147.2: 1, 1382.2: 5, 1464.5: 2, 1576.6: 2, 3056.4: 3,
})
BENZONITRILE = _raman("benzonitrile", "benzonitrile", {
    460.9: 2, 548.5: 1, 751.3: 1, 767.1: 1, 1000.7: 5, 1026.6: 1, 1177.9: 2, 1192.6: 2, 1598.9: 3, 2229.4: 4,
    3072.3: 3,
})
SULFUR = _raman("sulfur", "sulfur", {85.1: 1, 153.8: 3, 219.1: 5, 473.2: 3})
BIS_METHYLSTYRYL_BENZENE = _raman("bis_methylstyryl_benzene", "1,4-bis(2-methylstyryl)benzene", {
    456.0: 1, 642.4: 1, 841.6: 1, 950.1: 1, 978.0: 1, 1104.1: 1, 1177.7: 3, 1290.7: 1, 1316.9: 1, 1334.5: 1,
    1555.2: 2, 1593.1: 5, 1627.9: 4,
})

_NEON_NM = {
    540.0562: 2, 585.2488: 4, 588.1895: 3, 594.4834: 3, 597.5534: 2, 602.9997: 2, 607.4338: 3, 609.6163: 3,
    614.3063: 4, 616.3594: 3, 621.7281: 2, 626.6495: 3, 630.4789: 2, 633.4428: 3, 638.2991: 4, 640.2248: 5,
    650.6528: 4, 653.2882: 3, 659.8953: 3, 667.8277: 3, 671.7043: 3, 692.9467: 3, 703.2413: 5, 717.3938: 2,
    724.5167: 4, 743.8898: 3, 794.3181: 1, 808.2458: 1, 813.6406: 1, 830.0325: 2, 837.7607: 5, 849.5359: 4,
    859.1258: 2, 863.4647: 2, 865.4383: 2, 868.1922: 1, 878.0622: 3, 878.3754: 2, 885.3867: 2, 891.9501: 1,
    914.8672: 1, 920.1759: 1, 930.0852: 1, 942.5379: 1, 948.6682: 1, 953.4163: 1, 966.5420: 1,
}
# fmt: on

NEON = Material(
    name="neon",
    title="neon lamp",
    unit="nm",
    source="NIST Atomic Spectra Database, Ne I, in air",
    lines=tuple(Line(position=position, strength=strength) for position, strength in _NEON_NM.items()),
    lamp=True,
)

RAMAN_MATERIALS = (
    POLYSTYRENE,
    CYCLOHEXANE,
    PARACETAMOL,
    TOLUENE_ACETONITRILE,
    NAPHTHALENE,
    BENZONITRILE,
    SULFUR,
    BIS_METHYLSTYRYL_BENZENE,
)

CALCITE_CM1 = 1085.0
"""The symmetric stretch of calcium carbonate, by which Ph. Eur. 2.2.48 measures resolution."""
