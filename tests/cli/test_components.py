"""What people and programs are shown of the compounds in a mixture."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from edged.bundle.archive import bundle_bytes, bundle_from_bytes
from edged.cli.main import main
from edged.cli.measure import lines
from edged.cli.shelf import shelf_for
from edged.cli.stage import DemoFailed
from edged.infer.verdict import Candidate, Component, Reason, Unexplained, Verdict
from edged.store.journal import Journal
from tests.bundle.mixed import (
    AXIS_NM,
    CUP,
    PREPARED,
    REFERENCES,
    SECOND,
    SHAPES,
    WHITENER,
    mixed_bytes,
    mixed_fields,
    mixed_files,
    pack_library,
    spectrum,
)
from tests.store.drafts import draft

MIXTURES: dict[str, dict[str, float]] = {
    "half and half": {"aspirin": 0.5, "lactose": 1.0},
    "adulterated": {"aspirin": 0.6, "stranger": 0.5},
    "blank": {},
    "dense": {"aspirin": 60.0},
}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "mixed.edgebundle"
    path.write_bytes(mixed_bytes())
    return path


@pytest.fixture
def mixtures(tmp_path: Path) -> Path:
    path = tmp_path / "mixtures.csv"
    rows = [["nm", *(f"{nm:g}" for nm in AXIS_NM)]]
    rows += [[name, *(f"{value:.7f}" for value in spectrum(**parts))] for name, parts in MIXTURES.items()]
    path.write_text("".join(",".join(row) + "\n" for row in rows))
    return path


def edged(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def objects(result: Result) -> list[dict[str, Any]]:
    return [json.loads(text) for text in result.stdout.splitlines()]


def test_files_of_mixtures_are_analysed_to_their_compounds(bundle: Path, mixtures: Path) -> None:
    result = edged("analyze", mixtures, "--bundle", bundle, "--procedure", "components", "--json")

    half, adulterated, blank, dense = (found["verdict"] for found in objects(result))
    assert result.exit_code == 0
    assert [(c["label"], round(c["fraction"], 3)) for c in half["components"]] == [("aspirin", 0.5), ("lactose", 0.5)]
    assert [(v["outcome"], [r["code"] for r in v["reasons"]]) for v in (half, adulterated, blank, dense)] == [
        ("resolved", []),
        ("inconclusive", ["unknown_component"]),
        ("inconclusive", ["nothing_found"]),
        ("not_in_scope", ["out_of_model"]),
    ]
    assert adulterated["candidates"][0]["label"] == "aspirin"
    assert {found["probabilities"] for found in objects(result)} == {None}


def test_the_rest_of_an_unknown_component_is_told_and_looks_like_it(bundle: Path, mixtures: Path) -> None:
    printed = objects(edged("analyze", mixtures, "--bundle", bundle, "--json"))

    assert ["residual" in found for found in printed] == [False, True, False, False]
    residual = printed[1]["residual"]
    assert residual["unit"] == "nm"
    assert (residual["axis"][0], residual["axis"][-1]) == pytest.approx((AXIS_NM[1], AXIS_NM[-2]))
    values, stranger = np.array(residual["values"]), SHAPES["stranger"] @ SECOND
    assert len(residual["axis"]) == len(values) == PREPARED
    assert np.corrcoef(values, stranger)[0, 1] > 0.95


def test_the_table_tells_what_each_sample_holds_and_how_much_is_unexplained(bundle: Path, mixtures: Path) -> None:
    """Components is what the bundle answers by itself."""
    result = edged("analyze", mixtures, "--bundle", bundle)

    text = " ".join(result.stdout.split())
    assert "aspirin 50 % (45 to 55), lactose 50 % (42 to 58)" in text
    assert re.search(r"unexplained rest [\d.e-]+, allowed is 1\.8", text)
    assert "it may hold aspirin 1.000" in text
    assert "1 resolved" in text
    assert "mixed 1.2.3, components, balanced" in text


def test_by_the_network_alone_there_are_names_only(bundle: Path, mixtures: Path) -> None:
    result = edged("analyze", mixtures, "--bundle", bundle, "--preset", "screen", "--json")

    first = objects(result)[0]["verdict"]
    assert [c["label"] for c in first["components"]] == ["lactose", "aspirin"]
    assert (first["components"][0]["fraction"], first["unexplained"]) == (None, None)


def test_a_bundle_shows_what_it_finds_and_what_it_promises(bundle: Path) -> None:
    shown = edged("bundle", "show", bundle).stdout
    verified = edged("bundle", "verify", bundle)

    form = (
        r"^(?:false names| {11}) (\w+) +([\d.]+) a sample at most, of mixtures of these compounds alone; "
        r"at worst (\w+), named in (.*)$"
    )
    promises = re.findall(form, shown, re.MULTILINE)
    assert [promise[:2] for promise in promises] == [("balanced", "0.2"), ("confirm", "0.05"), ("screen", "1")]
    for preset, _, compound, counts in promises:
        point = mixed_fields()["components"]["presets"][preset]
        worst = max(range(4), key=lambda column: (point["named"][column] + 1) / point["negatives"][column])
        assert compound == mixed_fields()["components"]["compounds"][worst]["label"]
        assert counts == (f"{point['named'][worst]:,} of {point['negatives'][worst]:,} held-out samples without it")
    assert "confirms    balanced, confirm" in shown
    assert re.search(r"compounds   4\n +aspirin +Aspirin, found from 4 % on\n", shown)
    assert re.search(r" +twin +Twin\n?", shown)
    assert verified.exit_code == 0
    assert "prepared" in verified.stdout


def test_a_library_that_is_no_use_is_found_before_the_bundle_is_installed(tmp_path: Path) -> None:
    path = tmp_path / "mixed-1.2.3.edgebundle"
    library = pack_library(np.concatenate([REFERENCES[:3], CUP]), WHITENER, CUP)
    path.write_bytes(bundle_bytes(mixed_fields(), mixed_files(library_npz=library)))

    for verb in ("verify", "install"):
        refused = edged("bundle", verb, path, "--storage", tmp_path / "state")

        assert refused.exit_code == 1
        assert "reference 3 of the library, twin, is nothing but baseline" in refused.stderr


# One measurement


def component(label: str, fraction: float, half: float) -> Component:
    return Component(
        label=label, title=label, score=0.99, support=40.0, visible=0.5, fraction=fraction, low=fraction - half,
        high=fraction + half, detection_limit=0.05,
    )  # fmt: skip


RESOLVED = Verdict(
    procedure="components",
    preset="balanced",
    outcome="resolved",
    components=(component("aspirin", 0.62, 0.06), component("=lactose", 0.38, 0.08)),
    unexplained=Unexplained(value=1.234, limit=1.8),
)
UNKNOWN = Verdict(
    procedure="components",
    preset="balanced",
    outcome="inconclusive",
    candidates=(Candidate(label="aspirin", title="Aspirin", probability=0.99),),
    unexplained=Unexplained(value=9.0, limit=1.8),
    reasons=(Reason(code="unknown_component", message="unknown component: much is left", value=9.0, limit=1.8),),
)


def shown(verdict: Verdict) -> list[str]:
    record = draft().model_copy(update={"verdict": verdict}).model_dump(mode="json") | {"seq": 7}
    return lines(record)


def test_a_measurement_says_what_the_sample_holds() -> None:
    assert shown(RESOLVED)[:2] == [
        "resolved: aspirin 62 % (56 to 68), =lactose 38 % (30 to 46) (preset balanced)",
        "  unexplained rest 1.23, allowed is 1.8",
    ]


def test_a_measurement_with_an_unknown_component_says_what_it_could_hold() -> None:
    assert shown(UNKNOWN)[:3] == [
        "inconclusive",
        "  could hold aspirin 0.990",
        "  unknown component: much is left",
    ]


# The journal


def test_components_are_listed_and_exported_without_a_formula_for_a_spreadsheet(tmp_path: Path) -> None:
    backwards = RESOLVED.model_copy(update={"components": RESOLVED.components[::-1]})
    with Journal.open(tmp_path / "journal.db") as journal:
        for verdict in (RESOLVED, backwards, UNKNOWN):
            journal.append(draft().model_copy(update={"procedure": "components", "verdict": verdict}))

    listed = edged("journal", "list", "--storage", tmp_path)
    edged("journal", "export", tmp_path / "out.csv", "--storage", tmp_path)

    first, second, third = csv.DictReader((tmp_path / "out.csv").read_text().splitlines())
    assert "aspirin 62 % (56 to 68)" in " ".join(listed.stdout.split())
    assert first["components"] == "aspirin 0.62 (0.56 to 0.68); =lactose 0.38 (0.3 to 0.46)"
    assert second["components"].startswith("'=lactose")
    assert (third["components"], float(third["unexplained"]), third["reasons"]) == ("", 9.0, "unknown_component")


def test_what_is_kept_beside_a_record_can_be_had(tmp_path: Path) -> None:
    kept = io.BytesIO()
    np.savez(kept, values=np.arange(3.0))
    with Journal.open(tmp_path / "journal.db") as journal:
        record = journal.append(draft(), attachments={"residual.npz": kept.getvalue()})
    target = tmp_path / "rest.npz"
    words = ("journal", "show", record.id, "--storage", tmp_path, "--attachment")

    got, again = edged(*words, "residual.npz", target), edged(*words, "residual.npz", target)
    missing = edged(*words, "scan", tmp_path / "scan")

    assert (got.exit_code, json.loads(got.stdout)["id"]) == (0, record.id)
    assert np.load(target)["values"].tolist() == [0.0, 1.0, 2.0]
    assert (again.exit_code, "file exists" in again.stderr.lower()) == (1, True)
    assert (missing.exit_code, "no attachment scan: there never was one" in missing.stderr) == (1, True)
    assert "it was stored with residual.npz" in missing.stderr


# The demo


def test_a_model_of_compounds_is_shown_mixtures_of_them_and_is_right_with_every_compound_and_no_other() -> None:
    bundle = bundle_from_bytes(mixed_bytes())
    shelf = shelf_for(bundle, ("90aspirin10lactose", "caffeine", "chalk"))

    def told(*labels: str) -> dict[str, Any]:
        return {"components": [{"label": label} for label in labels]}

    assert (shelf.products, shelf.procedure) == (("90aspirin10lactose", "caffeine"), "components")
    assert shelf.is_right("90aspirin10lactose", told("lactose", "aspirin"))
    assert not shelf.is_right("90aspirin10lactose", told("aspirin"))
    assert not shelf.is_right("caffeine", told("caffeine", "twin"))
    with pytest.raises(DemoFailed, match="no product that"):
        shelf_for(bundle, ("chalk",))
