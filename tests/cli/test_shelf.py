"""What a demo shows of a model that is named: products of its twin that it knows, and what counts as right."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner

from edged.bundle.archive import bundle_bytes, bundle_from_bytes, read_bundle
from edged.bundle.slots import built_ins
from edged.cli.main import main
from edged.cli.shelf import shelf_for, usual_shelf
from edged.cli.stage import DemoFailed
from firmware_sim.contract import OperatorError
from firmware_sim.main import main as simulate
from firmware_sim.mixtures import Library
from firmware_sim.sample import Twin
from tests.bundle.tiny import dose_bytes, fields, files, tiny_bytes

TWIN = ("100mg", "A", "300mg", "C", "Z")


def told(drug: float, half: float) -> dict[str, Any]:
    amount = {"label": "drug", "title": "Drug", "unit": "mg", "value": drug, "low": drug - half, "high": drug + half}
    return {"procedure": "quantify", "preset": "balanced", "outcome": "quantified", "label": None, "amounts": [amount]}


def test_a_model_that_names_is_shown_what_it_knows_and_is_right_by_name() -> None:
    shelf = shelf_for(bundle_from_bytes(tiny_bytes(name="spices")), TWIN)

    assert (shelf.samples, shelf.products, shelf.procedure, shelf.wants_white) == (
        "spices",
        ("A", "C"),
        "identify",
        True,
    )
    assert shelf.technique == "nir"
    assert [shelf.is_right("A", {"label": label}) for label in ("A", "C", None)] == [True, False, False]


def test_a_model_that_quantifies_is_shown_all_and_is_right_where_its_interval_holds_the_labels_number() -> None:
    shelf = shelf_for(bundle_from_bytes(dose_bytes(quantity="intensity")), ("100mg", "300.5mg", "placebo"))

    assert (shelf.products, shelf.procedure) == (("100mg", "300.5mg", "placebo"), "quantify")
    assert not shelf.wants_white
    assert [shelf.is_right("300.5mg", told(x, 17)) for x in (300.0, 284.0, 317.4, 317.6)] == [True, True, True, False]
    assert not shelf.is_right("placebo", told(0.0, 17))
    assert not shelf.is_right("100mg", told(100, 17) | {"outcome": "inconclusive", "amounts": []})


def test_a_model_that_knows_no_product_or_only_verifies_has_no_shelf() -> None:
    only_verify = bundle_from_bytes(bundle_bytes(fields(procedures=["verify"]), files()))

    with pytest.raises(DemoFailed, match="neither identifies nor finds compounds nor quantifies"):
        shelf_for(only_verify, TWIN)
    with pytest.raises(DemoFailed, match="no product that"):
        shelf_for(bundle_from_bytes(tiny_bytes()), ("X", "Y"))


def test_the_usual_shelf_leaves_the_model_to_edged() -> None:
    shelf = usual_shelf(TWIN)

    assert (shelf.bundle, shelf.samples, shelf.products) == (None, None, TWIN)


def test_the_built_in_solvents_are_shown_mixtures_that_fit_the_table_and_right_is_every_compound_and_no_other() -> None:
    """By hand: of thirteen neighbours in the list two hold the one with the long name."""
    (path,) = [path for path in built_ins() if path.stem.startswith("solvents13-")]
    shelf = shelf_for(read_bundle(path), Library.named("solvents13").products)

    def right(*labels: str) -> bool:
        return shelf.is_right("Ethanol 60 Methanol 40", {"components": [{"label": label} for label in labels]})

    assert (shelf.technique, shelf.samples, shelf.wants_white, len(shelf.products)) == (
        "raman",
        "solvents13",
        False,
        11,
    )
    assert right("Methanol", "Ethanol")
    assert not right("Methanol")
    assert not right("Methanol", "Ethanol", "Toluene")
    assert not right()


def test_a_twin_is_found_by_its_name_and_no_path_is_followed() -> None:
    assert Twin.named("powders12").labels == Twin.load().labels

    for name in ("nothing", "../twins/powders12", "/etc/passwd", ""):
        with pytest.raises(OperatorError, match=r"there are .*powders12"):
            Twin.named(name)


def test_a_simulator_refuses_a_twin_that_it_does_not_have_or_cannot_show() -> None:
    missing = CliRunner().invoke(simulate, ["nirscan", "--twin", "nothing", "--pty", "/tmp/never"])
    both = CliRunner().invoke(simulate, ["nirscan", "--twin", "powders12", "--replay", "x.csv", "--pty", "/tmp/never"])

    assert missing.exit_code != 0
    assert "no twin 'nothing'; there are " in missing.output
    assert "--sample or --twin and --replay exclude each other" in both.output


@pytest.mark.parametrize(("name", "words"), [("nothing", "no bundle 'nothing'"), ("./none.edgebundle", "no such file")])
def test_a_demo_of_a_model_that_is_not_there_says_so_before_anything_starts(name: str, words: str) -> None:
    done = CliRunner().invoke(main, ["demo", "--bundle", name])

    assert done.exit_code == 2
    assert words in done.output
