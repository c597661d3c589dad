"""Who may import whom. Every breach is shown with its file and line."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.architecture.sources import PACKAGES, REPOSITORY, Import, files, imports, module_name

OURS = {  # package -> what it may import of the other packages
    "drivers": (),
    "firmware_sim": ("drivers.framing",),
    "edged": ("drivers",),
    "export": ("edged.spectra", "edged.bundle", "edged.infer", "edged.bulk.crew", "edged.bulk.errors"),
}
THEIRS = {  # package -> third-party modules it may import
    "drivers": {"numpy", "serial", "usb"},
    "firmware_sim": {"click", "gi", "numpy", "usb"},
    "edged": {
        "amqtt",
        "click",
        "distributed",
        "numpy",
        "onnxruntime",
        "paho",
        "pydantic",
        "pydantic_core",
        "rich",
        "serial",
    },
    "export": {
        "click",
        "distributed",
        "matplotlib",
        "numpy",
        "onnx",
        "onnxruntime",
        "onnxscript",
        "pooch",
        "pydantic",
        "pydantic_core",
        "pywt",
        "rich",
        "scipy",
        "sklearn",
        "threadpoolctl",
        "torch",
    },
}
LAZY_ONLY = {"amqtt", "distributed", "rich"}  # in edged: loaded by the commands that use them, when they do
ROOMS = (
    "spectra",
    "acquire",
    "bundle",
    "infer",
    "monitor",
    "store",
    "bulk",
    "publish",
    "service",
    "web",
    "config",
    "cli",
)
DEMO = "edged/cli/demo.py"  # may reach the simulators, inside functions
COMPOSES = "service"  # the room that puts the others together is told how by the configuration
WORDS = ("edged.infer.verdict",)  # reasons, procedures, presets: words that every room uses; imports no room itself


def of_ours(package: str) -> list[Import]:
    return [found for path in files(package) for found in imports(path) if found.module.split(".")[0] in PACKAGES]


def within(module: str, allowed: tuple[str, ...]) -> bool:
    return any(f"{module}.".startswith(f"{name}.") for name in allowed)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_the_packages_below_it(package: str) -> None:
    allowed = (package, *OURS[package])

    breaches = [
        f"{found.place}: {package} imports {found.module}, may import {', '.join(OURS[package]) or 'none of ours'}"
        for found in of_ours(package)
        if not within(found.module, allowed) and not is_demo_reaching_a_simulator(found)
    ]

    assert not breaches, "\n".join(breaches)


def is_demo_reaching_a_simulator(found: Import) -> bool:
    return (
        within(found.module, ("firmware_sim",))
        and found.lazy
        and found.path == REPOSITORY / "edged" / "cli" / "demo.py"
    )


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_the_third_party_modules_it_is_meant_to_need(package: str) -> None:
    known = set(PACKAGES) | sys.stdlib_module_names | THEIRS[package]

    breaches = [
        f"{found.place}: {package} imports {found.module}"
        for path in files(package)
        for found in imports(path)
        if found.module.split(".")[0] not in known
    ]

    assert not breaches, "\n".join(breaches)


def test_edged_loads_the_modules_that_only_some_commands_need_inside_functions() -> None:
    breaches = [
        f"{found.place}: {found.module} at the top of the file"
        for path in files("edged")
        for found in imports(path)
        if found.module.split(".")[0] in LAZY_ONLY and not found.lazy and not found.typing_only
    ]

    assert not breaches, "\n".join(breaches)


def test_a_room_of_edged_imports_only_the_rooms_before_it() -> None:
    breaches = []
    for found in of_ours("edged"):
        here, there = room(found.path.relative_to(REPOSITORY).parts), room(tuple(found.module.split(".")))
        told = here == COMPOSES and there == "config"
        if here and there and ROOMS.index(there) > ROOMS.index(here) and not told and not within(found.module, WORDS):
            breaches.append(f"{found.place}: {here} imports {found.module}; the order is {', '.join(ROOMS)}")

    assert not breaches, "\n".join(breaches)


@pytest.mark.parametrize("module", WORDS)
def test_words_that_every_room_may_import_import_no_room(module: str) -> None:
    path = REPOSITORY.joinpath(*module.split(".")).with_suffix(".py")

    assert not [found.place for found in imports(path) if room(tuple(found.module.split(".")))]


def test_what_lies_beside_the_rooms_and_serves_them_all_imports_none() -> None:
    beside = [path for path in files("edged") if path.parent == REPOSITORY / "edged"]

    assert len(beside) > 1
    assert not [found.place for path in beside for found in imports(path) if room(tuple(found.module.split(".")))]


def room(parts: tuple[str, ...]) -> str | None:
    return parts[1] if parts[0] == "edged" and len(parts) > 1 and parts[1] in ROOMS else None


def test_every_folder_of_edged_has_its_place_in_the_order_of_rooms() -> None:
    folders = {path.parent.name for path in (REPOSITORY / "edged").glob("*/__init__.py")}

    assert folders <= set(ROOMS)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_modules_need_each_other(package: str) -> None:
    """Inside functions neither: what can only be understood together is one module, or has a third one inside it."""
    ours = {module_name(path): path for path in files(package)}
    needs = {
        name: {module for found in imports(path) if not found.typing_only for module in _modules(found.module, ours)}
        for name, path in ours.items()
    }
    sorter = TopologicalSorter(needs)
    try:
        sorter.prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def _modules(name: str, ours: Mapping[str, Path]) -> set[str]:
    """The module that an imported name lies in; a package that only passes its parts on is none."""
    found = name if name in ours else name.rpartition(".")[0]
    return {found} if found in ours and ours[found].name != "__init__.py" else set()


def test_onnxruntime_is_loaded_by_its_one_door() -> None:
    """Which tells it to report to nobody; whoever loads it first decides for the whole process."""
    door = REPOSITORY / "edged/infer/runtime.py"
    found = [
        one
        for path in files("edged", "export")
        for one in imports(path)
        if one.module.split(".")[0] == "onnxruntime" and not one.typing_only and path != door
    ]

    assert [one.place for one in found if not (one.lazy and one.module.startswith("onnxruntime.quantization."))] == []
