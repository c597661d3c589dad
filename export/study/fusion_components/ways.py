"""Ways of naming compounds by two techniques: each alone, both in one row, log-odds added, and a plain fit of both.

A way gives scores that depend on which sources count, and the limits of whoever counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from export.components.gate import MIXTURES, MixtureGate
from export.components.late import fused_log_odds, temperature
from export.components.learn import Detector
from export.components.operate import level
from export.components.recipe import GateWords
from export.components.unmix import Unmixer
from export.data.mixtures.library import Library
from export.data.mixtures.synthesise import synthesise
from export.data.mixtures.words import Synthesis
from export.study.fusion_components.pair import TECHNIQUES, Technique
from export.study.fusion_components.spoilt import Seen
from export.study.library.banks import expected_rate

Scores = NDArray[np.float32]
Bools = NDArray[np.bool_]
Which = tuple[bool, bool]
"""Whether NIR and Raman count."""
NIR_ALONE, RAMAN_ALONE, BOTH = (True, False), (False, True), (True, True)
EVERY: tuple[Which, ...] = (NIR_ALONE, RAMAN_ALONE, BOTH)
KNOWN = 0.99  # of held-out mixtures are nearer to the plane of mixtures than the limit


class Way(Protocol):
    """patterns: which sources may count, each with limits of its own; where none of these counts, nothing is named."""

    patterns: tuple[Which, ...]

    def counting(self, shown: Seen) -> Bools:
        """Return which sources count, [2, n]."""

    def scores(self, shown: Seen, counting: Bools) -> Scores:
        """Return the scores [n, compounds] where these sources count; what others show is not looked at."""


class Limited:
    """A way with the limits of each pattern, chosen on held-out mixtures for so many false names a sample."""

    def __init__(self, way: Way, chosen_on: Seen, false_names: float) -> None:
        self.way = way
        self.limits: dict[Which, NDArray[np.float32]] = {}
        n, compounds = chosen_on.present.shape
        for pattern in way.patterns:
            scores = way.scores(chosen_on, np.repeat(np.array(pattern)[:, None], n, axis=1))
            found = [
                level(scores[~chosen_on.present[:, c], c], false_names / compounds, expected_rate)
                for c in range(compounds)
            ]
            self.limits[pattern] = np.array(found, dtype=np.float32)

    def found(self, shown: Seen) -> tuple[Bools, Bools]:
        """Return which compounds are named [n, compounds], and which sources counted [2, n]."""
        counting = self.way.counting(shown)
        scores = self.way.scores(shown, counting)
        found = np.zeros(shown.present.shape, dtype=bool)
        for pattern, limits in self.limits.items():
            rows = (counting == np.array(pattern)[:, None]).all(axis=0)
            found[rows] = scores[rows] >= limits
        return found, counting


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A technique's detector, what its logits are divided by, and the gate that tells whether it knows a spectrum."""

    detector: Detector
    temperature: float
    gate: MixtureGate
    limit: float

    def says(self, spectra: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return calibrated log-odds [n, compounds]."""
        return self.detector.say(spectra).astype(np.float64) / self.temperature

    def knows(self, spectra: NDArray[np.float32]) -> Bools:
        """Return whether each spectrum is near the plane of mixtures, [n]."""
        return np.asarray(self.gate.distances(spectra) <= self.limit)


def source_of(
    detector: Detector,
    gate: GateWords,
    library: Library,
    synthesis: Synthesis,
    grid: NDArray[np.float64],
    held_out: tuple[NDArray[np.float32], Bools],
    rng: np.random.Generator,
) -> Source:
    """Return a source. library: what was learnt, through whose mixtures the gate's plane lies; held_out: spectra of
    mixtures that taught nothing, and what they hold."""
    spectra, present = held_out
    plane = MixtureGate(gate, grid, synthesise(library, synthesis, MIXTURES, rng, grid=grid).values)
    return Source(
        detector=detector,
        temperature=temperature(detector.say(spectra), present),
        gate=plane,
        limit=float(np.quantile(plane.distances(spectra), KNOWN, method="higher")),
    )


class Late:
    """Log-odds added. asked: which sources are asked at all. gated: one counts only where it knows its spectrum."""

    def __init__(self, sources: Sequence[Source], prior: NDArray[np.float64], asked: Which, *, gated: bool) -> None:
        self._sources, self._prior, self._asked, self._gated = sources, prior, asked, gated
        self.patterns = EVERY if asked == BOTH else (asked,)

    def counting(self, shown: Seen) -> Bools:
        """Return which sources count."""
        counting = shown.here & np.array(self._asked)[:, None]
        if self._gated:
            for number, (source, name) in enumerate(zip(self._sources, TECHNIQUES, strict=True)):
                rows = counting[number]
                counting[number, rows] = source.knows(shown.spectra[name][rows])
        return counting

    def scores(self, shown: Seen, counting: Bools) -> Scores:
        """Return fused log-odds."""
        says = np.full((len(TECHNIQUES), *shown.present.shape), np.nan)
        for number, (source, name) in enumerate(zip(self._sources, TECHNIQUES, strict=True)):
            rows = counting[number]
            says[number, rows] = source.says(shown.spectra[name][rows])
        return fused_log_odds(says, counting, self._prior).astype(np.float32)


class Early:
    """One network that reads both in one row. An absent source's columns are the mean of `usual`, sound pairs that are
    not tried: it wants something there."""

    patterns: tuple[Which, ...] = (BOTH,)

    def __init__(self, detector: Detector, usual: Seen) -> None:
        self._detector = detector
        self._fill: dict[Technique, NDArray[np.float32]] = {
            name: usual.spectra[name].mean(axis=0) for name in TECHNIQUES
        }

    def counting(self, shown: Seen) -> Bools:
        """Return that both count: nothing in the network leaves one out."""
        return np.ones_like(shown.here)

    def scores(self, shown: Seen, counting: Bools) -> Scores:
        """Return the logits."""
        del counting
        parts = [
            np.where(shown.here[number][:, None], shown.spectra[name], self._fill[name])
            for number, name in enumerate(TECHNIQUES)
        ]
        return self._detector.say(np.concatenate(parts, axis=1))


class Fit:
    """Weights of a fit of all references, none below zero, in the rows of both techniques at once, or of one that is
    there alone. Each technique's row has length one, so that neither is louder."""

    patterns = EVERY

    def __init__(self, unmixers: Sequence[Unmixer]) -> None:
        self._unmixers = unmixers

    def counting(self, shown: Seen) -> Bools:
        """Return which sources are there: a fit has no gate."""
        return shown.here

    def scores(self, shown: Seen, counting: Bools) -> Scores:
        """Return the weights."""
        out = np.zeros(shown.present.shape, dtype=np.float32)
        for pattern in self.patterns:
            rows = np.flatnonzero((counting == np.array(pattern)[:, None]).all(axis=0))
            if not len(rows):
                continue
            asked = [
                (unmixer, name)
                for unmixer, name, counts in zip(self._unmixers, TECHNIQUES, pattern, strict=True)
                if counts
            ]
            references = np.concatenate([unmixer.references for unmixer, _ in asked], axis=1).T
            seen = np.concatenate([unmixer.prepare(shown.spectra[name][rows]) for unmixer, name in asked], axis=1)
            out[rows] = [nnls(references, row)[0] for row in seen]
        return out
