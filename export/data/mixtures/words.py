"""What a recipe may say of made mixtures: what they hold, how compounds mix, what an instrument does to them.

Zero is off, for every number. Lengths on the axis are in its unit, nm or cm-1; AU are absorbance units; shares are of
the whole mixture, by mass or volume as the library's set tells.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from export.data.augment import Augmentation
from export.words import Words

MOST_COMPONENTS = 16
Chance = Annotated[float, Field(ge=0, le=1)]
Spread = Annotated[float, Field(ge=0, le=3)]  # standard deviation of a natural logarithm
Length = Annotated[float, Field(ge=0, le=100)]


class Composition(Words):
    """What mixtures hold.

    components: fewest and most library compounds, uniform between; a library of fewer has fewer.
    fractions: `dirichlet` of `concentration` (1: every division is as likely), or `log-uniform`: one compound has a
    share log-uniform from `least` to 1, as traces matter as much as halves, and the others divide the rest by the
    Dirichlet law. least: no compound has a smaller share; one that would have is left out.
    neighbours: chance that a mixture which lacks the compound in question has, at `neighbour_share` or more, one of
    its `nearest` library neighbours: the mistakes that matter.
    outsiders: chance that a mixture holds something that is not in the library, at a share log-uniform from `least`.
    blanks: chance that there is no sample.
    """

    components: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(le=MOST_COMPONENTS)]]
    fractions: Literal["dirichlet", "log-uniform"]
    concentration: Annotated[float, Field(gt=0, le=100)] = 1.0
    least: Annotated[float, Field(ge=0, lt=1)] = 0.0
    neighbours: Chance = 0.0
    nearest: Annotated[int, Field(ge=1, le=50)] = 10
    neighbour_share: Annotated[float, Field(ge=0, lt=1)] = 0.5
    outsiders: Chance = 0.0
    blanks: Chance = 0.0

    @model_validator(mode="after")
    def _agree(self) -> Composition:
        fewest, most = self.components
        if fewest > most:
            raise ValueError(f"components: {fewest} at least and {most} at most")
        if not self.least and (self.fractions == "log-uniform" or self.outsiders):
            raise ValueError("least: a log-uniform share, or an outsider's, needs a smallest one above 0")
        if self.least * most >= 1:
            raise ValueError(f"least: {most} compounds of {self.least:g} or more leave no choice")
        return self


class Domains(Words):
    """The share of mixtures made in each way.

    absorbance: solutions, by Beer and Lambert: absorbances of the pure, weighted by fraction, add up.
    reflectance: grains side by side, each with light of its own: reflectances add up.
    kubelka_munk: fine powders, light passes many grains: absorption and scattering coefficients add up each, so that
    K/S of the pure is weighted by fraction times scattering (Kubelka and Munk 1931; Duncan, Proc. Phys. Soc. 52, 390
    (1940)).
    """

    absorbance: Chance = 0.0
    reflectance: Chance = 0.0
    kubelka_munk: Chance = 0.0

    @model_validator(mode="after")
    def _whole(self) -> Domains:
        if abs(self.absorbance + self.reflectance + self.kubelka_munk - 1.0) > 1e-9:
            raise ValueError("absorbance, reflectance and kubelka_munk: the shares are together 1")
        return self


class Nir(Words):
    """Mixtures in the near infrared.

    visibility: spread of the factor by which a compound shows more, or less, than its fraction, drawn for each compound
    of each mixture: its scattering coefficient or grain size, for which no library knows the value. Half lactose and
    half ascorbic acid look like 0.92 and 0.08: ln(11.5) = 2.4 between two compounds.
    shift, stretch: of each compound's bands on the axis, at its middle and at its ends: hydrogen bonds, temperature.
    grinding: spread of the grain size; K/S grows with it, so that strong bands saturate (Burger et al., Appl.
    Spectrosc. 51, 1323 (1997)).
    container: nothing but 0, since nobody has measured empty ones; it stays, so that digests of what was said stay.
    optics: what filling, unit and day do, in the words that training on whole spectra has: `shift` and `stretch` are
    of all compounds alike, `blend` mixes two scans of one compound, `refill` adds what two scans of one differ by.
    """

    domains: Domains
    visibility: Spread = 0.0
    shift: Length = 0.0
    stretch: Length = 0.0
    grinding: Spread = 0.0
    container: Annotated[float, Field(ge=0, le=0)] = 0.0
    optics: Augmentation


class Raman(Words):
    """Mixtures in Raman scattering: intensities add up. Heights are in parts of the mixture's highest band.

    normalised: what a pure spectrum is divided by before it is weighted: nothing, its mean (`area`), its top (`peak`).
    visibility: as for Nir: cross-section, grain size and focus. blend, refill: as in Nir's optics.
    component_shift_cm1, component_stretch_cm1: of one compound, at the middle and at the ends of the axis; shift_cm1,
    stretch_cm1: of all alike, the instrument's calibration.
    broadening_cm1: full width at half maximum of what is added to the resolution, uniform from 0.
    gain: spread of the response along the axis, a smooth random curve.
    container: largest height of the container's spectrum, uniform from 0. fluorescence: largest height of a baseline,
    uniform from 0: a decaying exponential or a cubic. Both add their own shot noise.
    noise: least and most standard deviation at the highest band without baseline, 1 / SNR, log-uniform; read_noise: how
    much of its variance does not grow with the light.
    etalon: largest amplitude of interference in the detector, relative; uniform from 0. spikes: chance of cosmic rays.
    clip: chance that the detector saturates.
    """

    normalised: Literal["nothing", "area", "peak"] = "peak"
    visibility: Spread = 0.0
    blend: Chance = 0.0
    refill: Annotated[float, Field(ge=0, le=10)] = 0.0
    component_shift_cm1: Length = 0.0
    component_stretch_cm1: Length = 0.0
    shift_cm1: Length = 0.0
    stretch_cm1: Length = 0.0
    broadening_cm1: Length = 0.0
    gain: Spread = 0.0
    container: Annotated[float, Field(ge=0, le=10)] = 0.0
    fluorescence: Annotated[float, Field(ge=0, le=1000)] = 0.0
    noise: tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(le=1)]] = (0.0, 0.0)
    read_noise: Chance = 0.0
    etalon: Annotated[float, Field(ge=0, lt=1)] = 0.0
    spikes: Chance = 0.0
    clip: Chance = 0.0

    @model_validator(mode="after")
    def _agree(self) -> Raman:
        least, most = self.noise
        if least > most or (most > 0) != (least > 0):
            raise ValueError("noise: least and most, both above 0 in this order, or both 0")
        return self


class Synthesis(Words):
    """How mixtures are made. A recipe states the techniques that it needs."""

    composition: Composition
    nir: Nir | None = None
    raman: Raman | None = None
