"""Instruments on USB and HID, as a tree like sysfs tells of them, and on a mocked bus that another process sees."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from drivers.discover import UsbUnit, usb_units
from drivers.registry import kinds, load
from tests.drivers.talking import talking

PROGRAM = "from edged.cli.main import main; main()"


@dataclass
class Tree:
    """What the system shows, in a folder."""

    root: Path

    def plug(self, place: str, ids: str, devnum: int = 5, **strings: str) -> Path:
        vendor, product = ids.split(":")
        entry = self.root / "devices" / place
        entry.mkdir(parents=True)
        words = {"idVendor": vendor, "idProduct": product, "busnum": "1", "devnum": str(devnum), **strings}
        for name, text in words.items():
            (entry / name).write_text(f"{text}\n")
        node = self.root / "nodes" / "001" / f"{devnum:03d}"
        node.parent.mkdir(parents=True, exist_ok=True)
        node.touch()
        return node

    def units(self) -> tuple[UsbUnit, ...]:
        return usb_units(
            [load(kind) for kind in kinds()],
            devices=self.root / "devices",
            nodes=self.root / "nodes",
            hid=self.root / "hid",
        )


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_a_unit_is_told_with_its_family_place_and_node(tree: Tree) -> None:
    node = tree.plug("1-2.4", "2457:1026", manufacturer="Ocean Optics Inc.", product="NIR\x1b[31mQuest", serial="NQ1")

    assert tree.units() == (
        UsbUnit(
            port="usb:1-2.4",
            kind="ooi",
            vid=0x2457,
            pid=0x1026,
            serial_number="NQ1",
            description="Ocean Optics Inc. NIR[31mQuest",
            path=str(node),
            access="ok",
            note="",
        ),
    )


def test_other_hardware_and_interfaces_are_left_out(tree: Tree) -> None:
    tree.plug("usb1", "1d6b:0002")
    tree.plug("1-1", "046d:c31c")
    (tree.root / "devices" / "1-1:1.0").mkdir()

    assert tree.units() == ()


def test_a_machine_without_usb_has_none(tree: Tree) -> None:
    assert tree.units() == ()


def test_a_unit_without_its_node_is_not_usable_yet(tree: Tree) -> None:
    tree.plug("1-2", "24aa:4000").unlink()

    (unit,) = tree.units()

    assert (unit.kind, unit.access) == ("wasatch", "denied")
    assert "no node yet" in unit.note


def test_a_unit_that_may_not_be_opened_names_the_rule(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    tree.plug("1-2", "24aa:4000")
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may open everything

    (unit,) = tree.units()

    assert unit.access == "denied"
    assert "70-edged.rules" in unit.note


def test_a_hid_instrument_is_reached_by_its_hid_node(tree: Tree) -> None:
    tree.plug("1-3", "0451:4200", serial="")
    device = tree.root / "tree" / "1-3" / "1-3:1.0" / "0003:0451:4200.0001"
    device.mkdir(parents=True)
    (device / "uevent").write_text("HID_ID=0003:00000451:00004200\n")
    (tree.root / "hid" / "hidraw7").mkdir(parents=True)
    (tree.root / "hid" / "hidraw7" / "device").symlink_to(device)

    (unit,) = tree.units()

    assert (unit.port, unit.kind, unit.path, unit.serial_number) == ("hid:1-3", "nirscan", "/dev/hidraw7", None)


def test_a_controller_without_its_program_is_told_as_that(tree: Tree) -> None:
    tree.plug("1-2", "04b4:8613")

    (unit,) = tree.units()

    assert (unit.port, unit.kind, unit.access) == ("usb:1-2", "", "denied")
    assert "ten seconds" in unit.note


def test_numbers_that_make_no_sense_are_no_instrument(tree: Tree) -> None:
    tree.plug("1-2", "zzzz:")

    assert tree.units() == ()


@pytest.mark.parametrize("kind", kinds())
def test_the_udev_rules_open_every_unit_of_every_family(repository: Path, kind: str) -> None:
    rules = (repository / "systemd" / "70-edged.rules").read_text()
    family = load(kind)
    subsystem, match = ("usb", "ATTR") if "usb" in family.links else ("hidraw", "ATTRS")
    opened = {
        (vendor, product)
        for vendor, products in re.findall(
            rf'SUBSYSTEM=="{subsystem}", {match}{{idVendor}}=="(\w+)", {match}{{idProduct}}=="([^"]+)"', rules
        )
        for product in products.split("|")
    }
    ids = family.usb.ids if family.usb is not None else ()

    assert {(f"{vendor:04x}", f"{product:04x}") for vendor, product in ids} <= opened


def test_the_command_shows_units_on_a_bus_of_its_own() -> None:
    if shutil.which("umockdev-wrapper") is None:
        pytest.skip("umockdev is not installed: .ci/set-up test")
    simulator = (sys.executable, "-m", "firmware_sim.main", "ooi", "--usb", "--sample", "ramp", "--serial-number", "N7")
    with talking(*simulator) as running:
        environment = {"UMOCKDEV_DIR": running.event("ready")["umockdev_dir"]}
        command = ("umockdev-wrapper", sys.executable, "-c", PROGRAM, "devices", "--json")
        with talking(*command, env=environment) as listing:
            assert listing.process.stdout is not None
            document: dict[str, Any] = json.loads(listing.process.stdout.read())

    (unit,) = document["units"]
    assert (unit["port"], unit["kind"], unit["serial_number"], unit["access"]) == ("usb:1-1", "ooi", "N7", "ok")
