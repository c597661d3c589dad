"""What a detector learns from made mixtures of a small library whose bands are apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from export.checkpoint import Checkpoint, Stopped, ask_to_stop
from export.components.learn import Beside, Detector, Lesson, RealMixtures, _clip, _drawn, _epoch, learn
from export.components.words import Schooling
from export.data.augment import STILL
from export.data.mixtures.library import Library
from export.data.mixtures.synthesise import synthesise
from export.data.mixtures.words import Composition, Domains, Nir, Synthesis
from export.errors import DataUnusable
from export.models.catalogue import FIXED
from export.models.network import NetworkKind
from export.models.resnet1d import ResNet1dWords
from export.models.resuca import ResucaWords
from export.preprocess.pipeline import build
from export.preprocess.words import SnvStep

GRID = np.linspace(1000.0, 1500.0, 64)
NAMES = ("one", "two", "three")
SYNTHESIS = Synthesis(
    composition=Composition(components=(1, 2), fractions="dirichlet", least=0.1),
    nir=Nir(domains=Domains(absorbance=1.0), optics=STILL.model_copy(update={"noise_au": 1e-3})),
)
SMALL = ResNet1dWords(stem=8, widths=(8, 16), strides=(1, 2), dropout=0.0)


def library() -> Library:
    rows = [np.exp(-(((GRID - centre) / 25.0) ** 2)) for centre in (1100.0, 1250.0, 1400.0)]
    return Library(
        axis=GRID.copy(),
        axis_unit="nm",
        quantity="absorbance",
        values=np.array(rows),
        compound=np.arange(3),
        groups=np.arange(3),
        names=NAMES,
        holds=frozenset(NAMES),
    )


def lesson(network: NetworkKind = SMALL, *, balanced: bool = False, real: RealMixtures | None = None) -> Lesson:
    return Lesson(
        library=library(),
        synthesis=SYNTHESIS,
        grid=GRID,
        steps=(SnvStep(kind="snv"),),
        network=network,
        schooling=Schooling(epochs=4, mixtures=512, batch=32, ema=0.9, balanced=balanced),
        seed=(1, 2),
        real=real,
    )


@pytest.mark.parametrize(
    ("network", "balanced"),
    [
        (SMALL, False),
        (ResucaWords(stem=4, widths=(4, 8), strides=(1, 2), dropout=0.0), True),
        pytest.param(FIXED["pair"], False, marks=pytest.mark.deep),
    ],
    ids=["trunk", "bank", "pair"],
)
def test_a_detector_names_what_it_was_taught(network: NetworkKind, balanced: bool) -> None:
    detector = learn(lesson(network, balanced=balanced))

    made = synthesise(library(), SYNTHESIS, 400, np.random.default_rng(8), grid=GRID)
    right = (detector.say(made.values) > 0.0) == made.present
    assert right.mean() > 0.9


def test_one_seed_gives_one_detector() -> None:
    rows = np.random.default_rng(0).random((5, 64))

    np.testing.assert_array_equal(learn(lesson()).say(rows), learn(lesson()).say(rows))


def test_real_mixtures_teach_too() -> None:
    """What the made ones call `one` is told to be `three` by so many real ones that they prevail."""
    made = library().values[[0] * 2000]
    real = RealMixtures(axis=GRID, values=made, present=np.tile([False, False, True], (2000, 1)))

    said = learn(lesson(real=real)).say(library().values[:1])
    assert said[0, 2] > said[0, 0]


def test_each_member_of_a_bank_has_its_gradient_clipped_by_itself() -> None:
    weights = nn.Parameter(torch.zeros(6, 4))
    weights.grad = torch.ones(6, 4)
    weights.grad[:2] = 100.0
    holder = nn.Module()
    holder.register_parameter("weights", weights)

    _clip(holder, members=3)

    norms = weights.grad.reshape(3, -1).norm(dim=1)
    torch.testing.assert_close(norms, torch.tensor([1.0, 1.0, 1.0]), rtol=1e-4, atol=0.0)


def test_a_small_gradient_is_left_alone() -> None:
    weights = nn.Parameter(torch.zeros(4))
    weights.grad = torch.full((4,), 0.1)
    holder = nn.Module()
    holder.register_parameter("weights", weights)

    _clip(holder, members=2)

    torch.testing.assert_close(weights.grad, torch.full((4,), 0.1))


def drawing(draws: int, *, asked: tuple[str, ...] = (), neighbours: float = 0.0) -> Lesson:
    words = SYNTHESIS.composition.model_copy(update={"neighbours": neighbours, "nearest": 1})
    bank = ResucaWords(stem=4, widths=(4, 8), strides=(1, 2), dropout=0.0)
    return replace(
        lesson(bank, balanced=True),
        synthesis=SYNTHESIS.model_copy(update={"composition": words}),
        draws=draws,
        asked=asked,
    )


def test_members_that_draw_from_the_same_mixtures_see_their_compound_in_half() -> None:
    taught = drawing(100, asked=("three", "one"))
    shown = _epoch(taught, np.random.default_rng(0), build(taught.steps, GRID))

    spectra, present = shown.of(torch.arange(len(shown)))

    assert spectra.shape == (100, 2, 64)
    assert present.sum(dim=0).tolist() == [50, 50]
    highest = GRID[spectra.argmax(dim=2).numpy()]  # a mixture whose highest band is a compound's holds it
    for member, centre in enumerate((1400.0, 1100.0)):
        assert present[np.abs(highest[:, member] - centre) < 5.0, member].all()


def test_look_alikes_are_drawn_as_often_as_the_composition_says() -> None:
    """Of 1, 2 and 3 the one in the middle is nearest to both others; all lack one of two, half of that by choice."""
    taught, rng = drawing(4000, neighbours=1.0), np.random.default_rng(0)
    present = rng.random((5000, 3)) < 0.3
    nearest = taught.library.nearest(1)[:, 0]

    drawn = _drawn(taught, present, rng)

    for member in range(3):
        of_others = ~present[drawn[:, member], member]
        assert of_others.sum() == 2000
        assert present[drawn[of_others, member], nearest[member]].all()


def test_a_bank_that_draws_names_what_it_is_asked_for() -> None:
    detector = learn(
        replace(
            drawing(512, asked=("three", "one")),
            schooling=Schooling(epochs=6, mixtures=400, batch=32, ema=0.9, balanced=True),
        )
    )

    made = synthesise(library(), SYNTHESIS, 400, np.random.default_rng(8), grid=GRID)
    right = (detector.say(made.values) > 0.0) == made.present[:, [2, 0]]
    assert right.mean() > 0.9


def test_what_is_asked_or_drawn_changes_what_is_kept() -> None:
    """The digest of a lesson that says nothing of either is what it was before there were such words."""
    digests = {drawing(0).digest(), drawing(8).digest(), drawing(0, asked=("one",)).digest()}

    assert len(digests) == 3
    assert lesson().digest() == "ffce128b3fc29fdcdf680b61368168c2f32d35559f30281bac790ac71efabc62"


def test_draws_without_balance_and_compounds_of_no_library_are_refused() -> None:
    with pytest.raises(DataUnusable, match="draws without balance"):
        replace(lesson(), draws=10)
    with pytest.raises(DataUnusable, match="has no four"):
        replace(lesson(), asked=("one", "four"))


def test_a_compound_that_no_mixture_holds_cannot_be_drawn() -> None:
    present = np.tile([True, False, True], (50, 1))
    present[::2, 0] = False

    with pytest.raises(DataUnusable, match="0 of 50 mixtures hold two"):
        _drawn(drawing(10), present, np.random.default_rng(0))


@pytest.mark.parametrize("real", [False, True])
def test_what_cannot_be_balanced_is_refused(real: bool) -> None:
    network = ResucaWords(stem=4, widths=(4, 8), strides=(1, 2)) if real else SMALL
    given = RealMixtures(axis=GRID, values=library().values, present=np.eye(3, dtype=bool)) if real else None

    with pytest.raises(DataUnusable, match="a balanced schooling"):
        lesson(network, balanced=True, real=given)


def short(network: NetworkKind, **changed: int) -> Lesson:
    words = Schooling(epochs=4, mixtures=72, batch=16, ema=0.9, balanced=isinstance(network, ResucaWords))
    return replace(lesson(), network=network, schooling=words, **changed)  # type: ignore[arg-type]


def same(one: Detector, other: Detector) -> bool:
    """To the bit."""
    states = one.state_dict(), other.state_dict()
    alike = [torch.equal(states[0][name], states[1][name]) for name in states[0]]
    return states[0].keys() == states[1].keys() and all(alike) and one.losses == other.losses


def stopped_after_each_epoch(of: Lesson, checkpoint: Checkpoint) -> list[int]:
    """How many epochs there are after each run; torch's generator is another's in between."""
    seen = []
    ask_to_stop(checkpoint.folder)
    for _ in range(of.schooling.epochs):
        with pytest.raises(Stopped):
            learn(of, checkpoint)
        seen.append(checkpoint.epochs)
        torch.manual_seed(99)
    return seen


BANK = ResucaWords(stem=4, widths=(4, 8), strides=(1, 2), dropout=0.2)


@pytest.mark.parametrize(
    "of",
    [
        short(SMALL.model_copy(update={"dropout": 0.2})),
        short(BANK),
        short(BANK, draws=40),
        pytest.param(short(FIXED["pair"]), marks=pytest.mark.deep),
    ],
    ids=["trunk", "bank", "bank that draws", "pair"],
)
def test_a_detector_that_was_stopped_after_each_epoch_is_the_one_that_was_not(of: Lesson, tmp_path: Path) -> None:
    checkpoint = Checkpoint(folder=tmp_path, name="one", of=of.digest())

    assert stopped_after_each_epoch(of, checkpoint) == [1, 2, 3, 4]

    assert same(learn(of, checkpoint), learn(of))


def test_a_damaged_epoch_costs_the_way_and_not_the_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    of = short(SMALL)
    checkpoint = Checkpoint(folder=tmp_path, name="one", of=of.digest())
    learn(of, checkpoint)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-1])

    again = learn(of, checkpoint)

    assert "damaged" in caplog.text
    assert same(again, learn(of))


def test_a_network_reads_two_techniques_in_one_row() -> None:
    """One and two are the same to the first technique, two and three to the second: both together tell all."""
    rows = library().values
    first, second = (replace(library(), values=rows[order]) for order in ([0, 0, 2], [0, 1, 1]))
    beside = Beside(library=second, grid=GRID, steps=(SnvStep(kind="snv"),))
    words = Composition(components=(1, 1), fractions="dirichlet")

    detector = learn(replace(lesson(), library=first, beside=beside, synthesis=holding(words)))

    said = detector.say(np.concatenate([first.values, second.values], axis=1)) > 0.0
    np.testing.assert_array_equal(said, np.eye(3, dtype=bool))


def holding(words: Composition) -> Synthesis:
    return SYNTHESIS.model_copy(update={"composition": words})


def test_a_technique_beside_is_part_of_what_a_lesson_depends_on_and_wants_made_mixtures_alone() -> None:
    beside = Beside(library=library(), grid=GRID, steps=(SnvStep(kind="snv"),))
    rougher = replace(beside, library=replace(library(), values=2.0 * library().values))
    digests = {replace(lesson(), beside=one).digest() for one in (None, beside, rougher, replace(beside, steps=()))}

    assert len(digests) == 4
    real = RealMixtures(axis=GRID, values=library().values, present=np.eye(3, dtype=bool))
    with pytest.raises(DataUnusable, match="of one technique of two"):
        replace(lesson(real=real), beside=beside)
    with pytest.raises(DataUnusable, match="of one technique of two"):
        replace(lesson(), strangers=library(), beside=beside)
