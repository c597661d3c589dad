"""A first recipe for a user's own spectra: what can be known from the spectra is filled into recipe.toml.template."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from string import Template

import numpy as np

from export.conformal import supported, units_of
from export.data.spectra import Spectra
from export.data.split import Blocks, default_split, split_of
from export.errors import DataUnusable
from export.recipe import parse_recipe

TEMPLATE = Path(__file__).parent / "recipe.toml.template"
STEPS = 8  # that the network takes along a spectrum
PATCH = (4, 64)  # points a step: fewer are a spectrum of some dozen pixels, more are a slower model for the same bands
MARGIN = 0.004  # of the axis at each end: the next unit of a family begins and ends elsewhere
STEPS_TO_TRAIN = 1300  # batches; what the example recipe takes
BALANCED = 0.9  # the coverage that the template's `balanced` asks for
LOG = """[[steps]]             # counts to what absorbance would be but for a constant
kind = "negative-log"

"""


def first_recipe(spectra: Spectra, folder: Path, *, name: str | None = None) -> str:
    """Return the text of a valid recipe. Raises DataUnusable where the axis is too short for one."""
    low, high = float(spectra.axis[0]), float(spectra.axis[-1])
    margin = MARGIN * (high - low)
    start, stop = _inward(low + margin, high - margin)
    inside = int(((spectra.axis >= start) & (spectra.axis <= stop)).sum())
    if inside < STEPS * PATCH[0]:
        raise DataUnusable(
            f"{inside} points from {start:g} to {stop:g} {spectra.axis_unit}: too few for the usual network",
            hint=f"{STEPS * PATCH[0]} are the least",
        )
    patch = min(max(round(inside / STEPS), PATCH[0]), PATCH[1])
    points = patch * STEPS
    step = (stop - start) / (points - 1)
    raman = spectra.axis_unit == "cm-1" and spectra.quantity == "intensity"
    counts = spectra.quantity == "intensity" and not raman
    teaching = round(len(spectra.labels) * 0.6)
    batch = min(90, max(8, teaching // 8))
    epochs = min(300, max(120, round(STEPS_TO_TRAIN / max(1, teaching / batch))))
    text = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        name=name or _slug(folder.stem),
        technique="raman" if raman else "nir",
        quantity=spectra.quantity,
        folder=json.dumps(folder.as_posix()),
        preset="balanced" if _promised(spectra) >= BALANCED else "screen",
        split=_split(spectra),
        unit=spectra.axis_unit,
        start=f"{start:g}",
        stop=f"{stop:g}",
        points=points,
        log=LOG if counts else "",
        flat='{ kind = "negative-log" }, ' if counts else "",
        window=11 if raman else max(5, 2 * round(points * 0.047) + 1),
        patch=patch,
        epochs=epochs,
        batch=batch,
        shift=f"{0.5 * step:.3g}",
        stretch=f"{0.28 * step:.3g}",
        mild=f"{0.2 * step:.3g}",
        water="0.012" if _sees_water(spectra, start, stop) else "0.0",
    )
    parse_recipe(text, where="the recipe for this folder")
    return text


def _inward(low: float, high: float) -> tuple[float, float]:
    """The ends at a round figure inside."""
    digit = 10.0 ** math.floor(math.log10((high - low) / 200))
    digit = min(1.0, digit)
    return math.ceil(low / digit) * digit, math.floor(high / digit) * digit


def _promised(spectra: Spectra) -> float:
    """The coverage that the preparations outside the held-out part can promise; none where there is no such part."""
    try:
        split = split_of(spectra, default_split(spectra))
    except DataUnusable:
        return 0.0
    return supported(len(np.unique(units_of(split.part, spectra.groups)[split.development])))


def _split(spectra: Spectra) -> str:
    words = default_split(spectra)
    if isinstance(words, Blocks):
        return (
            f'kind = "blocks"       # contiguous scans of each class, for labels.csv names no groups of several\n'
            f"scans = {words.scans}\ntest = {words.test}              # the last scans that were taken"
        )
    return (
        f'kind = "groups"       # whole preparations, batches or days: the column group of labels.csv\n'
        f"parts = {words.parts}\ntest = {words.test}"
    )


def _sees_water(spectra: Spectra, start: float, stop: float) -> bool:
    return spectra.axis_unit == "nm" and start < 1430 and stop > 1460 and spectra.quantity != "reflectance"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:64] or "my-model"
