"""Mixtures in the near infrared: compounds meet in a domain, the powder is ground and filled, an instrument looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.data.augment import Augmentation, as_absorbance, augment, from_absorbance
from export.data.mixtures.domains import DOMAINS, Domain, ground, into, out_of
from export.data.mixtures.ingredients import Displacement, ingredients, refilled, scanned
from export.data.mixtures.laws import Drawn
from export.data.mixtures.library import Library
from export.data.mixtures.shelf import Entries, Scans, Shelf, scans_on, shelf_of
from export.data.mixtures.words import Nir
from export.errors import DataUnusable


@dataclass(frozen=True, slots=True, kw_only=True)
class NirBench:
    """A library and strangers ready for mixing. The shelf holds a table for each of `domains`, `rows` each."""

    words: Nir
    library: Library
    grid: NDArray[np.float64]
    shelf: Shelf
    domains: tuple[Domain, ...]
    rows: int
    scans: Scans
    strangers: int
    displacement: Displacement
    session: Augmentation  # the optics that act on whole spectra

    def spectra(self, drawn: Drawn, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return spectra [n, points] in the library's quantity, and the effective shares [n, compounds]."""
        n, words, many = len(drawn), self.words, len(self.library.names)
        found = ingredients(drawn, many, self.strangers, words.visibility, self.displacement, rng)
        domain = rng.choice(len(self.domains), size=n, p=[getattr(words.domains, name) for name in self.domains])
        taken = scanned(found, self.scans, words.optics.blend, rng)
        entries = Entries(
            mixture=taken.mixture,
            row=taken.row + self.rows * domain[taken.mixture],
            weight=taken.weight,
            moved=taken.moved,
            stretched=taken.stretched,
        )
        absorbance = self._absorbance(self.shelf.sums(entries, n), domain, drawn, rng)
        if words.optics.refill:
            absorbance += self.shelf.sums(refilled(found, self.scans, words.optics.refill, n, rng), n)
        seen = augment(
            absorbance.astype(np.float64), self.grid, self.grid, self.session, rng, axis_unit=self.library.axis_unit
        )
        return from_absorbance(seen, self.library.quantity).astype(np.float32), found.dense(n, many)

    def _absorbance(
        self, mixed: NDArray[np.float32], domain: NDArray[np.int64], drawn: Drawn, rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Bring each mixture back from its domain, and grind it. Nothing in the holder absorbs nothing."""
        size = np.exp(self.words.grinding * rng.standard_normal((len(mixed), 1))).astype(np.float32)
        for number, name in enumerate(self.domains):
            rows = domain == number
            if not self.words.grinding:
                mixed[rows] = out_of(name, mixed[rows])
            elif name == "kubelka_munk":  # which is where grinding acts
                mixed[rows] = out_of(name, mixed[rows] * size[rows])
            else:
                mixed[rows] = ground(out_of(name, mixed[rows]), size[rows])
        mixed[(drawn.outsider == 0) & ~drawn.shares.any(axis=1)] = 0.0
        return mixed


def nir_bench(library: Library, words: Nir, grid: NDArray[np.float64], outsiders: Library | None) -> NirBench:
    """Make a library ready. Raises DataUnusable where the words ask for what these spectra cannot tell."""
    shown = [library, *([outsiders] if outsiders else [])]
    absorbance = np.concatenate([as_absorbance(each.values, each.quantity) for each in shown])
    domains = tuple(name for name in DOMAINS if name == "absorbance" or getattr(words.domains, name))
    _refuse_negative(absorbance, words)
    displacement = Displacement(
        shift=words.optics.shift,
        stretch=words.optics.stretch,
        own_shift=words.shift,
        own_stretch=words.stretch,
    )
    return NirBench(
        words=words,
        library=library,
        grid=grid,
        shelf=shelf_of([into(domain, absorbance) for domain in domains], library.axis, grid, moves=displacement.moves),
        domains=domains,
        rows=len(absorbance),
        scans=scans_on(*numbered(shown)),
        strangers=len(outsiders.names) if outsiders else 0,
        displacement=displacement,
        session=words.optics.model_copy(update={"shift": 0.0, "stretch": 0.0, "blend": 0.0, "refill": 0.0}),
    )


def numbered(libraries: Sequence[Library]) -> tuple[NDArray[np.int64], int]:
    """Return the compound of each row where libraries follow each other, counted on, and how many compounds there
    are."""
    offsets = np.cumsum([0, *[len(each.names) for each in libraries]])
    columns = [each.compound + offset for each, offset in zip(libraries, offsets[:-1], strict=True)]
    return np.concatenate(columns), int(offsets[-1])


def _refuse_negative(absorbance: NDArray[np.float64], words: Nir) -> None:
    """Reflectance above that of the white reference is no reflectance."""
    if (words.domains.reflectance or words.domains.kubelka_munk or words.grinding) and absorbance.min() < 0:
        raise DataUnusable(
            f"an absorbance of {absorbance.min():.3g}: reflectance and Kubelka-Munk need 0 or above",
            hint="mix in absorbance and do not grind, or leave out spectra without a white reference",
        )
