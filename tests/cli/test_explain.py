"""What people and programs are shown of why: words, JSON, pictures; and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from click.testing import CliRunner, Result

from edged.bundle.archive import bundle_from_bytes
from edged.cli.main import main
from edged.cli.measure import lines
from edged.cli.picture import svg
from edged.infer.analyze import Analyzer
from edged.infer.verdict import Band, Component, Verdict, Why
from edged.infer.why import Curves
from edged.service.pipeline import CURVES
from edged.store.journal import JOURNAL_FILE, Journal
from tests.bundle.mixed import AXIS_NM, BANDS, mixed_bytes, spectrum
from tests.bundle.tiny import dose_bytes
from tests.store.drafts import draft

SVG = "{http://www.w3.org/2000/svg}"
CENTRES = {label: [1000.0 + 5.0 * place for _, place, _ in BANDS[label]] for label in ("aspirin", "lactose")}
BAND = Band(low=1050.0, high=1090.0, peak=1070.0, share=0.6)
WHY = Why(label="aspirin", title="Aspirin", unit="nm", score=22.0, without=1.5, bands=(BAND,), off_band=0.1, known=0.4)
CURVES_OF_IT = Curves(
    axis=AXIS_NM,
    unit="nm",
    values=spectrum(aspirin=1.0),
    relevance=spectrum(aspirin=0.5)[None],
    references=spectrum(aspirin=1.0)[None],
)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "mixed.edgebundle"
    path.write_bytes(mixed_bytes())
    return path


@pytest.fixture
def mixtures(tmp_path: Path) -> Path:
    path = tmp_path / "mixtures.csv"
    parts = {"half": {"aspirin": 0.5, "lactose": 1.0}, "blank": {}}
    rows = [["nm", *(f"{nm:g}" for nm in AXIS_NM)]]
    rows += [[name, *(f"{value:.7f}" for value in spectrum(**weights))] for name, weights in parts.items()]
    path.write_text("".join(",".join(row) + "\n" for row in rows))
    return path


def edged(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def near(label: str, band: dict[str, Any]) -> bool:
    return any(abs(band["peak"] - centre) < 20.0 for centre in CENTRES[label])


def test_each_compound_of_a_file_comes_with_its_bands_and_a_blank_with_none(bundle: Path, mixtures: Path) -> None:
    result = edged("analyze", mixtures, "--bundle", bundle, "--explain", "--json")

    half, blank = (json.loads(text) for text in result.stdout.splitlines())
    assert result.exit_code == 0
    assert [one["label"] for one in half["why"]] == ["aspirin", "lactose"]
    assert all(near(one["label"], one["bands"][0]) for one in half["why"])
    assert all(Why.model_validate(one) for one in half["why"])
    assert blank["why"] == []
    plain = json.loads(edged("analyze", mixtures, "--bundle", bundle, "--json").stdout.splitlines()[0])
    assert plain == {key: value for key, value in half.items() if key != "why"}


def test_the_table_says_on_which_bands_an_answer_rests(bundle: Path, mixtures: Path) -> None:
    text = " ".join(edged("analyze", mixtures, "--bundle", bundle, "--explain").stdout.split())

    assert "aspirin rests on 1" in text
    assert " nm (" in text


def test_pictures_are_drawn_and_one_that_exists_is_kept(bundle: Path, mixtures: Path, tmp_path: Path) -> None:
    folder = tmp_path / "why"
    first = edged("analyze", mixtures, "--bundle", bundle, "--explain", "--plot", folder)
    second = edged("analyze", mixtures, "--bundle", bundle, "--explain", "--plot", folder)

    assert (first.exit_code, second.exit_code) == (0, 1)
    assert [path.name for path in folder.iterdir()] == ["mixtures_1.svg"]
    assert "mixtures_1.svg: File exists" in second.stderr
    drawn = ElementTree.parse(folder / "mixtures_1.svg").getroot()
    assert len(drawn.findall(f"{SVG}polyline")) == 2 * 3


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--plot", "why"), "give both"),
        (("--explain", "--out", "all.jsonl"), "not with --out"),
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(
    words: tuple[str, ...], complaint: str, bundle: Path, mixtures: Path
) -> None:
    result = edged("analyze", mixtures, "--bundle", bundle, *words)

    assert result.exit_code == 2
    assert complaint in result.stderr


def test_amounts_are_not_explained_and_that_is_said_before_anything_is_read(tmp_path: Path) -> None:
    path = tmp_path / "dose.edgebundle"
    path.write_bytes(dose_bytes())

    result = edged("analyze", tmp_path / "absent.csv", "--bundle", path, "--explain")

    assert result.exit_code == 2
    assert "an amount is not explained" in result.stderr
    assert "absent" not in result.stderr


def test_a_picture_shades_the_bands_where_they_lie_on_its_axis() -> None:
    drawn = ElementTree.fromstring(svg((WHY,), CURVES_OF_IT, title="lot 7"))

    width = float(drawn.attrib["width"])
    _, shade = drawn.findall(f"{SVG}rect")
    share = (float(shade.attrib["x"]) - 20.0) / (width - 40.0)
    assert share == pytest.approx((1050.0 - 1000.0) / 315.0, abs=1e-3)
    assert float(shade.attrib["width"]) / (width - 40.0) == pytest.approx(40.0 / 315.0, abs=1e-3)
    words = " ".join(text.text or "" for text in drawn.iter(f"{SVG}text"))
    for said in ("lot 7", "Aspirin (aspirin): evidence 22.0, 1.5 without", "60 %", "reference", "1300 nm"):
        assert said in words
    assert "look twice" not in words


def test_a_picture_says_that_there_is_no_reference_or_that_it_is_of_no_use() -> None:
    bare = WHY.model_copy(update={"off_band": None, "known": None})
    off = WHY.model_copy(update={"off_band": 0.8})
    flat = replace(CURVES_OF_IT, references=np.zeros((1, 64), np.float32))

    assert "there is no reference" in svg((bare,), flat, title="")
    assert "no reference</text>" in svg((bare,), flat, title="")
    assert "look twice" in svg((off,), CURVES_OF_IT, title="")


def test_a_title_from_a_file_cannot_break_the_picture() -> None:
    hostile = "</text><script>alert(1)</script>&\x00\x1b[31m\ud800" + "x" * 5000

    text = svg((WHY.model_copy(update={"title": hostile}),), CURVES_OF_IT, title=hostile)

    drawn = ElementTree.fromstring(text.encode("utf-8"))
    assert not list(drawn.iter(f"{SVG}script"))
    assert len(text) < 20_000


def _explained(folder: Path) -> str:
    """A journal with one record that says why, and one that does not; the id of the first."""
    verdict = Verdict(
        procedure="components",
        preset="screen",
        outcome="resolved",
        components=(Component(label="aspirin", title="Aspirin", score=0.99),),
    )
    with Journal.open(folder / JOURNAL_FILE) as journal:
        told = draft().model_copy(update={"verdict": verdict, "why": (WHY,)})
        first = journal.append(told, attachments={CURVES: CURVES_OF_IT.packed()})
        journal.append(draft(), attachments={})
    return first.id


def test_a_record_is_drawn_from_the_journal_alone(tmp_path: Path) -> None:
    id_ = _explained(tmp_path)
    picture = tmp_path / "why.svg"

    result = edged("journal", "show", id_, "--storage", tmp_path, "--plot", picture)
    again = edged("journal", "show", id_, "--storage", tmp_path, "--plot", picture)

    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["why"][0]["bands"][0]["share"] == 0.6
    assert ElementTree.parse(picture).getroot().tag == f"{SVG}svg"
    assert (again.exit_code, "exists already" in again.stderr) == (2, True)


def test_a_record_without_an_explanation_says_how_to_get_one(tmp_path: Path) -> None:
    _explained(tmp_path)

    result = edged("journal", "show", 2, "--storage", tmp_path, "--plot", tmp_path / "why.svg")
    named = edged("journal", "show", 2, "--storage", tmp_path, "--plot", tmp_path / "why.png")

    assert result.exit_code == 1
    assert "it was not explained (measure with --explain" in result.stderr
    assert named.exit_code == 2
    assert not (tmp_path / "why.svg").exists()


def test_curves_that_were_spoilt_on_disk_are_a_message(tmp_path: Path) -> None:
    with Journal.open(tmp_path / JOURNAL_FILE) as journal:
        told = draft().model_copy(update={"why": (WHY,)})
        journal.append(told, attachments={CURVES: b"PK no more"})

    result = edged("journal", "show", 1, "--storage", tmp_path, "--plot", tmp_path / "why.svg")

    assert result.exit_code == 1
    assert "the stored explanation cannot be read" in result.stderr


def test_who_stands_at_the_bench_reads_the_bands_and_the_doubt() -> None:
    verdict = Verdict(procedure="components", preset="screen", outcome="resolved")
    record = {
        "id": "x",
        "seq": 3,
        "kind": "result",
        "verdict": json.loads(verdict.model_dump_json()),
        "why": [json.loads(WHY.model_copy(update={"off_band": 0.8}).model_dump_json())],
    }

    told = lines(record)

    assert (
        "  aspirin rests on 1050 to 1090 nm (60 %); 80 % of it lies outside the bands of its reference: look twice"
        in told
    )


def test_why_is_drawn_only_where_it_is_asked_for(tmp_path: Path) -> None:
    assert "give both" in edged("measure", "bench", "--plot", "x.svg").stderr
    assert "a reference has none" in edged("measure", "bench", "--reference", "--explain").stderr
    assert "let the name end in .svg" in edged("measure", "bench", "--explain", "--plot", "x.png").stderr


def test_an_analyzer_that_has_explained_judges_as_before() -> None:
    analyzer = Analyzer(bundle_from_bytes(mixed_bytes()))
    from edged.spectra.spectrum import Spectrum

    one = Spectrum(axis=AXIS_NM.copy(), values=spectrum(aspirin=0.5), axis_unit="nm", quantity="absorbance")
    before = analyzer.analyze(one).verdict
    analyzer.explain(one, before)

    assert analyzer.analyze(one).verdict == before
