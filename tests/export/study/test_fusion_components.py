"""The study of component networks of two techniques: what is spoilt and how, who counts, what is promised, and that
every table says that no instrument saw any of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.optimize import nnls
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import precision_recall_fscore_support
from torch import nn

from export.components.gate import MixtureGate, Plane
from export.components.late import fused_log_odds
from export.components.learn import Detector
from export.components.unmix import Unmixer
from export.components.words import Schooling
from export.data.mixtures.paired import synthesise_pairs
from export.models.resnet1d import ResNet1dWords
from export.page import Page, Picture, Table
from export.preprocess.pipeline import build
from export.study.fusion_components.measure import CHOSEN, TRIED, Name, PairCell, PairOutcome, Told, _taught, measure
from export.study.fusion_components.pair import LEFT, Pair, PairWords
from export.study.fusion_components.spoilt import STATES, Seen, seen, spoil
from export.study.fusion_components.study import study
from export.study.fusion_components.ways import BOTH, EVERY, NIR_ALONE, Early, Fit, Late, Limited, Source
from export.study.library.made import CHOSEN_ON, LEARNT, MARK, SCANS, TRIED_ON

NOWHERE = Path("nowhere")
WHOLE = study().cells[0]
SMALL = WHOLE.pair.model_copy(update={"compounds": 8, "silent": 2})
LOUD = 20.0  # of bands that show, against those that do not: 1 / LEFT less what noise and drawing leave


def cell(name: Name) -> PairCell:
    words = {
        "name": name,
        "pair": SMALL,
        "network": ResNet1dWords(stem=4, widths=(4, 8), strides=(1, 2), dropout=0.0),
        "schooling": Schooling(epochs=2, mixtures=600, batch=32),
        "choosing": 600,
        "trying": 300,
    }
    return WHOLE.model_copy(update=words)


@pytest.fixture(scope="module")
def outcomes() -> list[PairOutcome]:
    return [measure(cell(name), NOWHERE) for name in ("each alone, and late", "early", "NNLS")]


@pytest.fixture(scope="module")
def pair() -> Pair:
    return Pair(SMALL)


@pytest.fixture(scope="module")
def sound(pair: Pair) -> Seen:
    made = synthesise_pairs(pair.tried_on, SMALL.synthesis, 400, np.random.default_rng(2), grids=SMALL.grids)
    return seen(made)


def state_of(sound: Seen, state: str) -> Seen:
    found = next(one for one in STATES if one == state)
    return spoil(sound, found, SMALL.grids, np.random.default_rng(3))


def test_no_scan_is_both_learnt_and_tried(pair: Pair) -> None:
    for technique in range(2):
        parts = [libraries[technique] for libraries in (pair.learnt, pair.chosen_on, pair.tried_on)]
        assert [len(part.groups) for part in parts] == [8 * n for n in (LEARNT, CHOSEN_ON, TRIED_ON)]
        assert len(set().union(*(part.groups.tolist() for part in parts))) == 8 * SCANS
        assert all(part.synthetic for part in parts)
    assert pair.learnt[0].names == pair.learnt[1].names
    assert [library.technique for library in pair.learnt] == ["NIR", "Raman"]


def test_some_compounds_show_next_to_nothing_in_one_technique_and_none_in_neither(pair: Pair) -> None:
    heights = [np.ptp(library.means(), axis=1) for library in pair.learnt]

    assert sorted(pair.kinds.tolist()) == [0, 0, 0, 0, 1, 1, 2, 2]
    assert heights[1][pair.kinds != 1].min() > LOUD * heights[1][pair.kinds == 1].max()
    assert heights[0][pair.kinds == 2].max() < 0.1 * np.median(heights[0][pair.kinds != 2])
    assert heights[1][pair.kinds == 1].max() < 2 * LEFT


def test_relatives_are_more_alike_in_nir_than_in_raman() -> None:
    likeness = Pair(WHOLE.pair).likeness()

    assert likeness["NIR"] > likeness["Raman"] + 0.2


@pytest.mark.parametrize("silent", [4, 5])
def test_a_library_of_which_nothing_shows_in_both_techniques_is_none(silent: int) -> None:
    with pytest.raises(ValidationError, match=f"silent: twice {silent} of 8"):
        PairWords.model_validate(SMALL.model_dump() | {"silent": silent})


def test_water_adds_its_bands_to_what_the_sample_shows(sound: Seen) -> None:
    film = state_of(sound, "NIR wet").spectra["NIR"] - sound.spectra["NIR"]

    grid = SMALL.grids[0]
    bands = ((970.0, 45.0, 1 / 30), (1190.0, 70.0, 1 / 30), (1450.0, 100.0, 1.0))
    shape = np.sum([h * np.exp(-0.5 * ((grid - at) / (fwhm / 2.3548)) ** 2) for at, fwhm, h in bands], axis=0)
    height = film.max(axis=1) / shape.max()
    assert height.min() > 0.49
    assert height.max() < 1.51
    np.testing.assert_allclose(film, height[:, None] * shape, atol=2e-3)
    assert state_of(sound, "NIR wet").spectra["Raman"] is sound.spectra["Raman"]


def test_an_empty_holder_knows_nothing_of_the_sample(sound: Seen) -> None:
    shown = state_of(sound, "NIR empty").spectra["NIR"]

    assert np.abs(shown.mean(axis=1)).max() < 0.1
    assert (shown - shown.mean(axis=1, keepdims=True)).std() == pytest.approx(1e-3, rel=0.02)


def test_a_drowned_spectrum_is_ten_times_as_bright_and_has_the_noise_of_its_light(sound: Seen) -> None:
    shown, before = state_of(sound, "Raman drowned").spectra["Raman"], sound.spectra["Raman"]
    height = before.max(axis=1, keepdims=True)

    assert (shown.max(axis=1, keepdims=True) / height).min() > 9.0
    step = np.diff((shown - before) / height, axis=1) / np.sqrt(2.0)
    light = np.sqrt((shown / height)[:, 1:].clip(0.01))
    assert np.median(np.abs(step) / light) / 0.6745 == pytest.approx(0.1, rel=0.05)


def test_what_is_absent_is_no_number(sound: Seen) -> None:
    shown = state_of(sound, "NIR absent")
    assert not shown.here[0].any()
    assert shown.here[1].all()
    assert np.isnan(shown.spectra["NIR"]).all()


@pytest.mark.deep  # networks are taught for it
def test_late_is_the_other_source_where_one_is_absent(outcomes: list[PairOutcome]) -> None:
    told: dict[tuple[str, str], Told] = {(one.way, one.state): one for one in outcomes[0].told}

    for state, left in (("Raman absent", "NIR"), ("NIR absent", "Raman")):
        late, alone = told["late", state], told[left, state]
        assert (late.exact, late.false_names, late.f1) == (alone.exact, alone.false_names, alone.f1)
        gone = told["Raman" if left == "NIR" else "NIR", state]
        assert (gone.unasked, gone.recall, gone.false_names) == (1.0, 0.0, 0.0)


@pytest.mark.deep  # networks are taught for it
def test_a_source_knows_next_to_all_sound_spectra_and_not_quite_all(outcomes: list[PairOutcome]) -> None:
    assert all(0.97 < share < 1.0 for share in outcomes[0].knows.values())


@pytest.mark.deep  # networks are taught for it
def test_the_temperature_that_fused_log_odds_want_is_the_slope_of_a_logistic_regression(
    pair: Pair, outcomes: list[PairOutcome]
) -> None:
    """The same networks, taught anew; their log-odds added up by hand."""
    late = cell("each alone, and late")
    networks = [_taught(late, pair.learnt, number) for number in range(2)]
    lots = {
        purpose: synthesise_pairs(
            libraries, SMALL.synthesis, n, np.random.default_rng([SMALL.seed, purpose]), grids=SMALL.grids
        )
        for libraries, n, purpose in ((pair.chosen_on, late.choosing, CHOSEN), (pair.tried_on, late.trying, TRIED))
    }
    often = (lots[CHOSEN][0].present.sum(axis=0) + 0.5) / (late.choosing + 1.0)
    tried, present = lots[TRIED], lots[TRIED][0].present.ravel()

    says = [network.say(made.values) for network, made in zip(networks, tried, strict=True)]

    heats = outcomes[0].temperatures.values()
    fused = sum(logits / heat for logits, heat in zip(says, heats, strict=True)) - np.log(often / (1.0 - often))
    judge = LogisticRegression(C=np.inf, fit_intercept=False).fit(fused.reshape(-1, 1), present)
    assert outcomes[0].fused_temperature == pytest.approx(1.0 / float(judge.coef_[0, 0]), rel=1e-2)
    assert outcomes[1].fused_temperature is None


@pytest.mark.deep  # networks are taught for it
def test_what_is_spoilt_moves_no_source_that_is_not_asked(outcomes: list[PairOutcome]) -> None:
    told: dict[tuple[str, str], Told] = {(one.way, one.state): one for one in outcomes[0].told}

    assert told["NIR", "Raman drowned"].exact == told["NIR", "nothing"].exact
    assert told["Raman", "NIR wet"].exact == told["Raman", "nothing"].exact
    assert told["Raman", "NIR wet"].left_out == told["late", "NIR wet"].left_out == 0.0
    assert told["late with validity", "NIR empty"].left_out > 0.99


def echo(points: int) -> Detector:
    """Says what it is shown."""
    return Detector(build((), points), nn.Identity()).eval()


def source(known: float) -> Source:
    """Rows carry their log-odds; one is known as far as it is from zero."""
    everywhere = Plane(mean=np.zeros(3, dtype=np.float32), rows=np.zeros((0, 3), dtype=np.float32))
    gate = MixtureGate(WHOLE.nir.gate, SMALL.grids[0], everywhere)
    gate.steps = build((), 3)
    return Source(detector=echo(3), temperature=1.0, gate=gate, limit=known)


def said(n: int, seed: int) -> Seen:
    rng = np.random.default_rng(seed)
    present = rng.random((n, 3)) < 0.3
    nir, raman = (np.where(present, 2.0, -2.0) + rng.normal(size=(2, n, 3))).astype(np.float32)
    return Seen(spectra={"NIR": nir, "Raman": raman}, here=np.ones((2, n), dtype=bool), present=present)


def test_limits_keep_false_names_of_the_next_samples_for_each_set_of_sources() -> None:
    prior = np.full(3, np.log(0.3 / 0.7))
    late = Late([source(30.0), source(30.0)], prior, BOTH, gated=False)
    limited, tried = Limited(late, said(6000, 1), 0.15), said(40_000, 2)

    for pattern in EVERY:
        shown = Seen(
            spectra=tried.spectra, here=np.tile(np.array(pattern)[:, None], (1, 40_000)), present=tried.present
        )
        found, counting = limited.found(shown)
        assert (counting == np.array(pattern)[:, None]).all()
        assert (found & ~shown.present).sum() / 40_000 == pytest.approx(0.7 * 0.15, rel=0.15)  # 0.7 lack a compound


def test_a_source_that_does_not_know_its_spectrum_leaves_the_other_alone_with_its_own_limits() -> None:
    prior = np.full(3, np.log(0.3 / 0.7))
    sources = [source(30.0), source(30.0)]
    shown, chosen = said(500, 3), said(3000, 4)
    shown.spectra["Raman"][::2] = 50.0
    gated = Limited(Late(sources, prior, BOTH, gated=True), chosen, 0.15)
    alone = Limited(Late(sources, prior, NIR_ALONE, gated=False), chosen, 0.15)

    found, counting = gated.found(shown)

    assert counting[0].all()
    assert not counting[1, ::2].any()
    assert counting[1, 1::2].all()
    np.testing.assert_array_equal(found[::2], alone.found(shown)[0][::2])
    fused = fused_log_odds(np.stack([shown.spectra["NIR"], shown.spectra["Raman"]]), counting, prior)
    np.testing.assert_array_equal(found[1::2], fused[1::2].astype(np.float32) >= gated.limits[BOTH])


def test_early_fusion_puts_the_mean_where_a_source_is_absent(sound: Seen) -> None:
    shown = state_of(sound, "Raman absent")

    rows = Early(echo(SMALL.nir.points + SMALL.raman.points), sound).scores(shown, np.ones_like(shown.here))

    points = SMALL.nir.points
    np.testing.assert_array_equal(rows[:, :points], sound.spectra["NIR"])
    np.testing.assert_array_equal(rows[:, points:], np.tile(sound.spectra["Raman"].mean(axis=0), (400, 1)))


def unmixers(pair: Pair) -> list[Unmixer]:
    return [
        Unmixer(library, of.unmixing, grid)
        for library, of, grid in zip(pair.learnt, WHOLE.techniques, SMALL.grids, strict=True)
    ]


def test_a_fit_takes_the_rows_that_are_there(sound: Seen, pair: Pair) -> None:
    here = np.array([[True, True, False, False], [True, False, True, False]])
    shown = Seen(spectra={name: rows[:4] for name, rows in sound.spectra.items()}, here=here, present=sound.present[:4])
    fits = unmixers(pair)

    weights = Fit(fits).scores(shown, shown.here)

    first, second = (fit.references for fit in fits)
    nir, raman = (fit.prepare(rows) for fit, rows in zip(fits, shown.spectra.values(), strict=True))
    both = nnls(np.concatenate([first, second], axis=1).T, np.concatenate([nir[0], raman[0]]))[0]
    expected = [both, nnls(first.T, nir[1])[0], nnls(second.T, raman[2])[0], np.zeros(8)]
    np.testing.assert_allclose(weights, expected, atol=1e-6)


@pytest.mark.deep  # networks are taught for it
def test_figures_are_those_of_scikit_learn(pair: Pair, outcomes: list[PairOutcome]) -> None:
    """The plain fit, by hand: same mixtures, limits by sorting, figures by scikit-learn."""
    fits = unmixers(pair)
    references = np.concatenate([one.references for one in fits], axis=1).T
    lots = []
    for libraries, n, purpose in ((pair.chosen_on, 600, 21), (pair.tried_on, 300, 22)):
        made = synthesise_pairs(libraries, SMALL.synthesis, n, np.random.default_rng([0, purpose]), grids=SMALL.grids)
        rows = np.concatenate([one.prepare(m.values) for one, m in zip(fits, made, strict=True)], axis=1)
        lots.append((np.array([nnls(references, row)[0] for row in rows]), made[0].present))
    (chosen, there), (tried, holds) = lots
    found = np.zeros_like(holds)
    for c in range(8):
        absent = np.sort(chosen[~there[:, c], c])[::-1]
        allowed = int(np.floor(0.2 / 8 * (len(absent) + 1) + 1e-9)) - 1  # k + 1 of n + 1 over the limit
        found[:, c] = tried[:, c] > absent[allowed]
    precision, recall, f1, _ = precision_recall_fscore_support(holds.ravel(), found.ravel(), average="binary")

    told = next(one for one in outcomes[2].told if one.state == "nothing")
    assert (told.precision, told.recall, told.f1) == pytest.approx((precision, recall, f1), abs=2e-3)
    assert told.exact == pytest.approx((found == holds).all(axis=1).mean(), abs=5e-3)
    assert told.false_names == pytest.approx((found & ~holds).sum() / 300, abs=5e-3)
    assert told.found["in both"] == pytest.approx(found[:, pair.kinds == 0][holds[:, pair.kinds == 0]].mean(), abs=5e-3)


@pytest.mark.deep  # networks are taught for it
def test_one_cell_gives_one_outcome(outcomes: list[PairOutcome]) -> None:
    again = measure(cell("early"), NOWHERE)

    assert again.told == outcomes[1].told


@pytest.mark.deep  # networks are taught for it
def test_every_table_and_picture_says_that_it_is_synthetic(outcomes: list[PairOutcome]) -> None:
    page: Page = study().page(outcomes, NOWHERE)

    tables = [part for part in page.parts if isinstance(part, Table)]
    pictures = [part for part in page.parts if isinstance(part, Picture)]
    assert len(tables) >= 8
    assert len(pictures) == 1
    assert all(MARK in table.header[0] for table in tables)
    assert all(MARK in picture.alternative for picture in pictures)
    assert MARK in page.title


@pytest.mark.deep  # networks are taught for it
def test_a_page_of_some_cells_leaves_out_what_is_not_measured(outcomes: list[PairOutcome]) -> None:
    text = study().page(outcomes[1:2], NOWHERE).markdown()

    assert "**8 of 9 cells are not measured yet" in text
    assert "| early |" in text
    assert "| late |" not in text
    assert "**Sound.**" not in text
