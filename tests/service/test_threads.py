"""Which model judges where: the usual one, and those that stations name for themselves."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Mapping
from pathlib import Path

import pytest

from edged.service import threads
from edged.service.threads import BUNDLES_FOLDER, ModelThread
from tests.bundle.tiny import tiny_bytes


def loaded(path: Path | None, storage: Path, stations: Mapping[str, str | None]) -> ModelThread:
    async def life() -> ModelThread:
        model = ModelThread()
        await model.load(path, storage, stations)
        found = copy.copy(model)  # closing empties the other one
        await model.close()
        return found

    return asyncio.run(life())


def name_at(model: ModelThread, station: str) -> str | None:
    analyzer = model.at(station).analyzer
    return None if analyzer is None else f"{analyzer.bundle.manifest.name} {analyzer.bundle.manifest.version}"


@pytest.fixture
def usual(tmp_path: Path) -> Path:
    path = tmp_path / "usual.edgebundle"
    path.write_bytes(tiny_bytes(name="usual"))
    return path


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    folder = tmp_path / "state" / BUNDLES_FOLDER
    folder.mkdir(parents=True)
    for version in ("1.9.0", "1.10.0"):
        (folder / f"spices-{version}.edgebundle").write_bytes(tiny_bytes(name="spices", version=version))
    return folder.parent


def test_a_station_is_judged_by_the_bundle_that_it_names_and_the_others_by_the_usual_one(
    usual: Path, storage: Path, tmp_path: Path
) -> None:
    file = tmp_path / "own.edgebundle"
    file.write_bytes(tiny_bytes(name="own"))

    stations = {"a": None, "b": "spices", "c": "spices-1.9.0", "d": str(file), "e": "powders12"}
    model = loaded(usual, storage, stations)

    assert [name_at(model, name) for name in "abcd"] == ["usual 1.2.3", "spices 1.10.0", "spices 1.9.0", "own 1.2.3"]
    assert str(name_at(model, "e")).startswith("powders12 ")  # built in
    assert name_at(model, "of a station that is gone") == "usual 1.2.3"
    assert [model.at(name).problem for name in "abcde"] == [""] * 5


def test_a_bundle_that_two_stations_name_is_loaded_once_and_one_that_nobody_needs_not_at_all(
    storage: Path, tmp_path: Path
) -> None:
    model = loaded(tmp_path / "not there", storage, {"a": "spices", "b": "spices"})

    assert model.at("a").analyzer is model.at("b").analyzer is not None
    assert (model.analyzer, model.problem) == (None, "")


def test_a_bundle_is_loaded_once_however_it_is_named(usual: Path, storage: Path, tmp_path: Path) -> None:
    copied = tmp_path / "copy.edgebundle"
    copied.write_bytes((storage / BUNDLES_FOLDER / "spices-1.10.0.edgebundle").read_bytes())

    stations = {"a": "spices", "b": "spices-1.10.0", "c": str(copied), "d": str(usual), "e": None, "f": "spices-1.9.0"}
    model = loaded(usual, storage, stations)

    assert model.at("a").analyzer is model.at("b").analyzer is model.at("c").analyzer
    assert model.at("d").analyzer is model.at("e").analyzer
    assert len({id(model.at(name).analyzer) for name in "adf"}) == 3


@pytest.mark.parametrize("text", ["nothing", "spices-9.9.9", "./none.edgebundle", "/etc/passwd"])
def test_a_station_whose_bundle_cannot_be_had_is_judged_by_no_other(text: str, usual: Path, storage: Path) -> None:
    model = loaded(usual, storage, {"a": text, "b": None})

    assert model.at("a").analyzer is None
    assert model.at("a").problem
    assert name_at(model, "b") == "usual 1.2.3"


def test_without_stations_there_is_a_model_for_those_to_come(usual: Path, storage: Path) -> None:
    assert name_at(loaded(usual, storage, {}), "any") == "usual 1.2.3"


def test_bundles_of_stations_lie_where_edged_installs_them() -> None:
    from edged.cli.bundle import FOLDER

    assert FOLDER == threads.BUNDLES_FOLDER
