"""The study of component networks of two techniques, on SYNTHETIC mixtures: each alone, fused early, fused late."""

from __future__ import annotations

from edged.bundle.vocabulary import Axis
from export.components.recipe import GateWords
from export.components.words import Schooling, Unmixing
from export.data.mixtures.recipes import A1
from export.data.mixtures.words import Composition, Synthesis
from export.models.catalogue import FIXED
from export.preprocess.words import SavgolStep, SnvStep, StepWords, VectorStep
from export.study.fusion_components.measure import NAMES, Name, OfTechnique, PairCell, PairOutcome, measure
from export.study.fusion_components.page import parts
from export.study.fusion_components.pair import LEFT, OWN, PairWords
from export.study.fusion_components.spoilt import BRIGHTER, SHOT, WATER_AU
from export.study.fusion_components.ways import KNOWN
from export.study.library.made import CHOSEN_ON, LEARNT, MARK, TRIED_ON
from export.study.study import Study

NAME = "fusion-components"
LIBRARIES = 3
COMPOUNDS, SILENT = 24, 5
NIR = Axis(unit="nm", start=904.0, stop=1698.0, points=128)
RAMAN = Axis(unit="cm-1", start=220.0, stop=1980.0, points=384)
SCHOOLING = Schooling(epochs=20, mixtures=10_000)
NETWORK = "resnet1d-lite"
TARGET, CHOOSING, TRYING = 0.2, 6000, 4000
COMPOSITION = Composition(
    components=(1, 4), fractions="dirichlet", least=0.1, neighbours=0.3, nearest=3, neighbour_share=0.3
)
VISIBILITY = 0.5
QUESTION = f"""
**Every spectrum here is {MARK.lower()}: no instrument has seen one.** No public set has mixtures that both techniques
have measured; of real samples there are [the tablets](fusion.md), whose classes are named and not their compounds.
What follows is about methods. {COMPOUNDS} compounds in families of one to four, {LEARNT + CHOSEN_ON + TRIED_ON} scans
each in either technique: from {LEARNT} all learn, on {CHOSEN_ON} limits are chosen, {TRIED_ON} are tried. Raman bands
are those of `synthetic_library`, NIR bands those of `synthetic_nir`. **By construction** a relative differs from its
family's first compound in NIR by {100 * OWN:.0f} % of what strangers differ by, and {SILENT} compounds have
{100 * LEFT:.0f} % of their bands' height in Raman, {SILENT} others in NIR: so that fusion has something to gain on
some and nothing but noise to add on others. How much it gains here says nothing about how much it would gain on real
powders."""
MIXTURES = f"""
A composition is drawn once and rendered twice (`synthesise_pairs`): one to four compounds of
{100 * COMPOSITION.least:g} % or more, look-alikes of either technique; NIR and Raman optics of A1 (fluorescence up to
five times the highest band, signal to noise of 10 to 300). How strongly a compound shows, its scan, filling and noise
are each technique's own. NIR: {NIR.points} points from {NIR.start:g} to {NIR.stop:g} nm; Raman: {RAMAN.points} from
{RAMAN.start:g} to {RAMAN.stop:g} cm-1; first derivative and SNV for both."""
WAYS = f"""
Networks are `{NETWORK}`, one trunk with a head for each compound, {SCHOOLING.epochs} epochs of {SCHOOLING.mixtures:,}
made mixtures. *Early*: one network reads both prepared spectra in one row; what is absent is filled, before that, with
the mean spectrum of the mixtures on which limits are chosen. *Late*: a network each, taught by itself; log-odds, each
source's logits over a temperature from held-out mixtures, are added and the prior's taken off once
(`export/components/late.py`): two networks, each schooled as long. *With validity*: a source counts only where its
spectrum is near the plane of made mixtures, first derivative and SNV, 99 % of their variance, with a limit that
{100 * KNOWN:g} % of held-out mixtures keep: the gate of the recipes that ship, without their slack. A source that gave
no spectrum never counts, in either. *NNLS of both*: a fit of all references in both rows at once, or in the one that is
there; the weight is the score. Limits of each way, and of each set of sources that may count, are chosen on
{CHOOSING:,} held-out pairs for {TARGET:g} false names a sample, as in [library](library.md), with nothing spoilt; what
a compound may be named wrongly is told of mixtures without it, so that a sample is promised somewhat fewer. {TRYING:,}
pairs are tried, the same in each state. *Raman drowned*: under a fluorescence {BRIGHTER[0]:g} to {BRIGHTER[1]:g} times
as bright as the highest point, with shot noise, {100 * SHOT:g} % of that point at its own light. *NIR wet*: water of
{WATER_AU[0]:g} to {WATER_AU[1]:g} AU at 1450 nm over the sample; *NIR empty*: an empty holder. Where no source counts
nothing is named, which is told as an empty set. Mean ± standard deviation over {LIBRARIES} seeds, each with a library,
mixtures and first weights of its own."""


def study() -> Study[PairCell, PairOutcome]:
    """Return the study."""
    return Study(
        name=NAME,
        title=f"Components by NIR, Raman and both, {MARK} mixtures",
        question=(QUESTION, MIXTURES, WAYS),
        cells=tuple(_cell(name, seed) for seed in range(LIBRARIES) for name in NAMES),
        measure=measure,
        kind=PairOutcome,
        parts=parts,
    )


def synthesis() -> Synthesis:
    """Return how mixtures are made: A1 without strangers, blanks and traces; Raman heights are the compounds' own."""
    assert A1.nir is not None
    assert A1.raman is not None
    return Synthesis(
        composition=COMPOSITION,
        nir=A1.nir.model_copy(update={"visibility": VISIBILITY}),
        raman=A1.raman.model_copy(update={"visibility": VISIBILITY, "normalised": "nothing"}),
    )


def _cell(name: Name, seed: int) -> PairCell:
    pair = PairWords(compounds=COMPOUNDS, silent=SILENT, seed=seed, synthesis=synthesis(), nir=NIR, raman=RAMAN)
    return PairCell(
        name=name,
        pair=pair,
        nir=_of_technique(7, of_gate=11),  # by what the gate of the powders looks at: 70 nm
        raman=_of_technique(7, of_gate=9),
        network=FIXED[NETWORK],
        schooling=SCHOOLING,
        target=TARGET,
        choosing=CHOOSING,
        trying=TRYING,
    )


def _of_technique(window: int, *, of_gate: int) -> OfTechnique:
    slope, snv = _slope(window), SnvStep(kind="snv")
    return OfTechnique(
        steps=(slope, snv),
        gate=GateWords(steps=(_slope(of_gate), snv), slack={}),
        unmixing=Unmixing(steps=(slope, VectorStep(kind="vector-normalise")), directions=2),
    )


def _slope(window: int) -> StepWords:
    return SavgolStep(kind="savgol", window=window, order=2, derivative=1)
