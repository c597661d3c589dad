"""What the study of solvents tries: least squares by scipy, what edged ships, its fit alone, and networks taught
here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from edged.bundle.archive import read_bundle
from edged.infer.verdict import Preset
from export.components.recipe import load_components_recipe
from export.components.words import Schooling, Unmixing
from export.data.mixtures.recipes import A0, A1
from export.data.mixtures.words import Synthesis
from export.models.catalogue import named
from export.preprocess.words import SavgolStep, SnvStep, StepWords
from export.study.elastic_net import ALPHAS, L1_RATIOS, Penalised
from export.study.mixtures import Taught
from export.study.solvents.namings import FEW, ElasticNet, Learnt, LeastSquares, NamingCell, Shipped, Where, shipped

SEEDS = 3
RECIPE = "solvents13"
REFERENCE = "NNLS, counts"
"""The peer that all are compared with."""

FIRST = SavgolStep(kind="savgol", window=9, order=2, derivative=1)
SECOND = SavgolStep(kind="savgol", window=11, order=2, derivative=2)
OF_NETWORKS: tuple[StepWords, ...] = (FIRST, SnvStep(kind="snv"))
PEERS: Mapping[str, LeastSquares] = {
    REFERENCE: LeastSquares(constant=True),
    "NNLS, counts, over 1 %": LeastSquares(constant=True, share=0.01),
    "NNLS, counts, over 5 %": LeastSquares(constant=True, share=0.05),
    "NNLS, counts without a constant": LeastSquares(),
    "NNLS, counts up to 3000": LeastSquares(constant=True, stop=3000.0),
    "NNLS, first derivative": LeastSquares(steps=(FIRST,)),
    "NNLS, first derivative, over 1 %": LeastSquares(steps=(FIRST,), share=0.01),
    "NNLS, second derivative": LeastSquares(steps=(SECOND,)),
}
NETS: Mapping[str, LeastSquares] = {
    "elastic net, counts": LeastSquares(constant=True),
    "elastic net, first derivative": LeastSquares(steps=(FIRST,)),
    "elastic net, second derivative": LeastSquares(steps=(SECOND,)),
}
"""Named as the peers are, the penalty tuned on made mixtures."""
LIBRARIES: tuple[Where, ...] = get_args(Where)
SCHOOLING: Mapping[Where, Schooling] = {
    "raman-solvents": Schooling(epochs=12, mixtures=6000),
    "raman-powders": Schooling(epochs=12, mixtures=3000),
}
"""Half the mixtures for half as many compounds."""
OF_BANKS = Schooling(epochs=12, mixtures=800, balanced=True)
MOVES_CM1 = 2.0
HELD_OUT, FALSE_NAMES = 2000, 0.3  # as the default preset of the bundle


def cells() -> tuple[NamingCell, ...]:
    """Return all cells: what needs no schooling first."""
    peers = [
        NamingCell(name=name, library=library, method=words) for name, words in PEERS.items() for library in LIBRARIES
    ]
    nets = [
        NamingCell(name=name, library=library, method=_net(words))
        for name, words in NETS.items()
        for library in LIBRARIES
    ]
    path = shipped(RECIPE)
    sha256 = read_bundle(path).digest
    presets = [
        NamingCell(
            name=f"shipped, {preset}",
            library="raman-solvents",
            method=Shipped(bundle=path.stem, sha256=sha256, preset=preset),
        )
        for preset in get_args(Preset)
    ]
    return (*peers, *nets, *presets, *fits(), *(cell for seed in range(SEEDS) for cell in networks(seed)))


def _net(words: LeastSquares) -> ElasticNet:
    return ElasticNet(
        plain=words,
        penalties=Penalised(steps=words.steps, alphas=ALPHAS, l1_ratios=L1_RATIOS),
        tuned_on=of_few(),
        held_out=HELD_OUT // 2,
    )


def fits() -> list[NamingCell]:
    """Return our fit alone: as the recipe has it, and with other guesses of what an instrument does."""
    recipe, made = load_components_recipe(RECIPE), of_few()
    own = recipe.unmixing
    still = own.model_copy(update={"shift": 0.0, "broadening": 0.0})
    twice = own.model_copy(update={"shift": 2.0 * own.shift, "broadening": 2.0 * own.broadening})
    assert made.raman is not None
    restless = made.raman.model_copy(update={"component_shift_cm1": MOVES_CM1})
    ways: dict[str, tuple[Unmixing, Synthesis]] = {
        "fit": (own, made),
        "fit, no error of axis or width": (still, made),
        "fit, twice the errors": (twice, made),
        "fit, twice the errors, limits from bands that move": (
            twice,
            made.model_copy(update={"raman": restless}),
        ),
    }
    return [
        _learnt(name, library, unmixing=words, limits_on=limits_on)
        for name, (words, limits_on) in ways.items()
        for library in LIBRARIES
    ]


def networks(seed: int) -> list[NamingCell]:
    """Return what is taught on mixtures of the pure spectra, alone and confirmed; the bank by one seed only."""
    recipe = load_components_recipe(RECIPE)
    made = {"A0": A0, "A1": A1, "up to five": of_few()}
    resuca = named("resuca", points=recipe.axis.points)
    found = []
    for library in LIBRARIES:
        taught = {name: taught_by(library, words) for name, words in made.items()}
        found += [_learnt(f"shared trunk, {name}", library, taught=words, seed=seed) for name, words in taught.items()]
        if seed == 0:
            banks = {
                name: words.model_copy(update={"network": resuca, "schooling": OF_BANKS})
                for name, words in taught.items()
            }
            found += [_learnt(f"ResUCA, {name}", library, taught=banks[name]) for name in ("A0", "A1")]
            found.append(
                _learnt(
                    "shared trunk, up to five, confirmed",
                    library,
                    taught=taught["up to five"],
                    unmixing=recipe.unmixing,
                )
            )
    words = taught_by("raman-solvents", recipe.synthesis)
    name = "shared trunk, up to thirteen"
    found.append(_learnt(name, "raman-solvents", taught=words, seed=seed))
    found.append(
        _learnt(f"{name}, limits of up to five", "raman-solvents", taught=words, limits_on=of_few(), seed=seed)
    )
    if seed == 0:
        found.append(_learnt(f"{name}, confirmed", "raman-solvents", taught=words, unmixing=recipe.unmixing))
    return found


def of_few() -> Synthesis:
    """Return how the bundle's mixtures are made, but of five solvents at most."""
    made = load_components_recipe(RECIPE).synthesis
    few = made.composition.model_copy(update={"components": (1, FEW)})
    return made.model_copy(update={"composition": few})


def taught_by(library: Where, words: Synthesis) -> Taught:
    """Return the bundle's own network, taught on mixtures of a recipe."""
    network = load_components_recipe(RECIPE).network
    return Taught(steps=OF_NETWORKS, network=network, schooling=SCHOOLING[library], synthesis=words)


def _learnt(
    name: str,
    library: Where,
    *,
    taught: Taught | None = None,
    unmixing: Unmixing | None = None,
    limits_on: Synthesis | None = None,
    seed: int = 0,
) -> NamingCell:
    """A cell whose limits are from mixtures of what taught it, unless said otherwise."""
    recipe = load_components_recipe(RECIPE)
    words = Learnt(
        axis=recipe.axis,
        taught=taught,
        unmixing=unmixing,
        limits_on=limits_on or (recipe.synthesis if taught is None else taught.synthesis),
        held_out=HELD_OUT,
        false_names=FALSE_NAMES,
        wrongly_unknown=recipe.wrongly_unknown,
    )
    return NamingCell(name=name, library=library, method=words, seed=seed)
