"""Two ready recipes: what the literature tells, and one that also knows what instruments and powders do.

A0: one to four compounds in any division, white noise: Fan et al., Analyst 144, 1789 (2019), completed by guesses where
they tell neither ratio law nor number of components nor noise. A1: traces, look-alikes, strangers, and every effect of
`words`. Its NIR optics are those with which the identifiers of the public powders are trained.
"""

from __future__ import annotations

from export.data.augment import HANDHELD_NIR, STILL
from export.data.mixtures.words import Composition, Domains, Nir, Raman, Synthesis

_WHITE_NOISE = STILL.model_copy(update={"noise_au": 8e-4})
_HANDHELD_NIR = HANDHELD_NIR.model_copy(update={"resolution": 4.0, "lamp_au": 0.01, "stray": 0.002})

A0 = Synthesis(
    composition=Composition(components=(1, 4), fractions="dirichlet"),
    nir=Nir(domains=Domains(absorbance=1.0), optics=_WHITE_NOISE),
    raman=Raman(normalised="peak", noise=(0.01, 0.01), read_noise=1.0),
)
A1 = Synthesis(
    composition=Composition(
        components=(1, 6),
        fractions="log-uniform",
        least=0.02,
        neighbours=0.3,
        outsiders=0.2,
        blanks=0.02,
    ),
    nir=Nir(
        domains=Domains(absorbance=0.4, reflectance=0.1, kubelka_munk=0.5),
        visibility=0.8,
        shift=0.5,
        stretch=0.5,
        grinding=0.3,
        optics=_HANDHELD_NIR,
    ),
    raman=Raman(
        normalised="peak",
        visibility=0.5,
        blend=0.5,
        refill=0.5,
        component_shift_cm1=0.7,
        component_stretch_cm1=0.2,
        shift_cm1=1.0,
        stretch_cm1=0.3,
        broadening_cm1=4.0,
        gain=0.1,
        container=0.6,
        fluorescence=5.0,
        noise=(1 / 300, 1 / 10),
        read_noise=0.3,
        etalon=0.01,
        spikes=0.05,
        clip=0.02,
    ),
)
