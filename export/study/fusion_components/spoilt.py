"""What becomes of pairs of spectra where one source is spoilt, or is not there at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from export.data.augment import water_band
from export.data.mixtures.raman import fluorescence
from export.data.mixtures.synthesise import Mixtures
from export.study.fusion_components.pair import TECHNIQUES, Technique

State = Literal["nothing", "Raman drowned", "NIR wet", "NIR empty", "Raman absent", "NIR absent"]
STATES: tuple[State, ...] = get_args(State)
BRIGHTER = (10.0, 40.0)  # a fluorescence against the highest point of the spectrum that it drowns, log-uniform
SHOT = 0.1  # noise at that highest point before; it grows with the root of the light
EMPTY_LEVEL_AU, EMPTY_NOISE_AU = 0.02, 1e-3
WATER_AU, WATER_NM, WATER_FWHM_NM = (0.5, 1.5), (970.0, 1190.0, 1450.0), (45.0, 70.0, 100.0)
WATER_HEIGHTS = (1 / 30, 1 / 30, 1.0)  # against the first overtone of the O-H stretch
Rows = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """n pairs of spectra, [n, points] of each technique; here [2, n]: whether a source gave any, NIR first. present
    [n, compounds]."""

    spectra: Mapping[Technique, Rows]
    here: NDArray[np.bool_]
    present: NDArray[np.bool_]


def seen(pair: tuple[Mixtures, Mixtures]) -> Seen:
    """Return pairs of which nothing is spoilt."""
    n = len(pair[0].values)
    return Seen(
        spectra={name: made.values for name, made in zip(TECHNIQUES, pair, strict=True)},
        here=np.ones((2, n), dtype=bool),
        present=pair[0].present,
    )


def spoil(
    sound: Seen, state: State, grids: tuple[NDArray[np.float64], NDArray[np.float64]], rng: np.random.Generator
) -> Seen:
    """Return the same pairs in a state. What is absent is nan: nobody may look at it."""
    spectra, here = dict(sound.spectra), sound.here.copy()
    match state:
        case "Raman drowned":
            spectra["Raman"] = drowned(spectra["Raman"], rng)
        case "NIR wet":
            spectra["NIR"] = wet(spectra["NIR"], grids[0], rng)
        case "NIR empty":
            spectra["NIR"] = empty(spectra["NIR"], rng)
        case "Raman absent" | "NIR absent":
            name: Technique = "Raman" if state == "Raman absent" else "NIR"
            spectra[name] = np.full_like(spectra[name], np.nan)
            here[TECHNIQUES.index(name)] = False
        case "nothing":
            pass
    return replace(sound, spectra=spectra, here=here)


def drowned(raman: Rows, rng: np.random.Generator) -> Rows:
    """Return Raman spectra under a fluorescence many times as bright, with its shot noise."""
    n, points = raman.shape
    height = np.maximum(raman.max(axis=1, keepdims=True), np.finfo(np.float32).tiny).astype(np.float64)
    least, most = np.log(BRIGHTER).tolist()
    brighter = np.exp(rng.uniform(least, most, size=(n, 1)))
    light = raman / height + brighter * fluorescence(n, np.linspace(-1.0, 1.0, points, dtype=np.float32), rng)
    light += SHOT * np.sqrt(np.maximum(light, 0.0)) * rng.standard_normal(light.shape)
    return (height * light).astype(np.float32)


def wet(absorbance: Rows, grid_nm: NDArray[np.float64], rng: np.random.Generator) -> Rows:
    """Return what samples show behind a film of water: its bands are added, each a Gaussian."""
    bands = zip(WATER_NM, WATER_FWHM_NM, WATER_HEIGHTS, strict=True)
    film = np.sum([height * water_band(grid_nm, centre, fwhm) for centre, fwhm, height in bands], axis=0)
    return (absorbance + rng.uniform(*WATER_AU, size=(len(absorbance), 1)) * film).astype(np.float32)


def empty(absorbance: Rows, rng: np.random.Generator) -> Rows:
    """Return what an empty holder shows, as many rows: a level near none, and noise."""
    level = EMPTY_LEVEL_AU * rng.standard_normal((len(absorbance), 1))
    return (level + EMPTY_NOISE_AU * rng.standard_normal(absorbance.shape)).astype(np.float32)
