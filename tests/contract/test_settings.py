"""Every setting of every kind, from a configuration's words to a scan: it is measured with, or refused in words."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drivers import registry
from drivers.clock import ManualClock
from drivers.contract import Medium, RawScan
from drivers.errors import BadSettings
from edged.acquire.instrument import DriverInstrument
from edged.config.load import load
from edged.config.vocabulary import ScanOverrides
from firmware_sim.devices.ooi import OoiSpectrometer
from firmware_sim.scene import Ramp
from tests.contract.far_ends import csvserial, nirscan, nirscan_hid, plug, wasatch
from tests.contract.obp_ends import instrument

PORTS: dict[Medium, str] = {"serial": "/dev/board", "tcp": "tcp:box:4000", "usb": "usb", "hid": "hid"}
Make = Callable[[], Any]


def nirquest() -> OoiSpectrometer:
    return OoiSpectrometer(Ramp(), model="nirquest512", seed=1)


GAINS = ("1", "2", "4", "8", "16", "32", "64")
NIRSCAN = (
    *(("gain", gain) for gain in GAINS), ("gain", "16.0"), ("start_nm", "950"), ("start_nm", "950.0"),
    ("end_nm", "1650"), ("points", "100"), ("width_px", "7"), ("repeats", "2"),
)  # fmt: skip
ARRAY = (
    ("repeats", "2"), ("integration_ms", "50"), ("integration_ms", "50.5"), ("laser_unattended", "true"),
    ("laser_unattended", "false"),
)  # fmt: skip
COOLER = (("detector_c", "-5"), ("detector_c", "-5.5"))
LASER = (("laser_mw", "40"), ("laser_mw", "40.5"))
UNITS: tuple[tuple[str, Medium, Make, tuple[tuple[str, str], ...]], ...] = (
    ("csvserial", "serial", lambda: csvserial(""), ARRAY),
    ("nirscan", "serial", lambda: nirscan(""), NIRSCAN),
    ("nirscan", "hid", lambda: nirscan_hid(""), NIRSCAN),
    ("ooi", "usb", nirquest, (*ARRAY, *COOLER)),
    ("obp", "usb", lambda: instrument("qe-pro"), (*ARRAY, *COOLER)),
    ("obp", "usb", lambda: instrument("ventana"), (*ARRAY, *LASER)),
    ("obp", "serial", lambda: instrument("ventana", "serial"), (*ARRAY, *LASER)),
    ("obp", "tcp", lambda: instrument("ventana", "tcp"), (*ARRAY, *LASER)),
    ("wasatch", "usb", lambda: wasatch("", model="xs-imx"), (*ARRAY, *LASER, ("gain", "2"), ("gain", "2.5"))),
    ("wasatch", "usb", lambda: wasatch("", model="wp1064"), (*ARRAY, *COOLER)),
)
HAS_NONE = {
    "csvserial": {"gain", "laser_mw", "detector_c"},
    "ooi": {"gain", "laser_mw"},
    "obp": {"gain"},
}  # settings of a kind that none of its models has


def settings_of(kind: str) -> set[str]:
    """What a configuration may set at a station of this kind."""
    fields = {field.name for field in dataclasses.fields(registry.load(kind).default_settings)}
    return fields & set(ScanOverrides.model_fields)


def scanned(folder: Path, kind: str, medium: Medium, firmware: Any, *lines: str) -> RawScan:
    """Measure once at a station with these lines in its configuration."""
    file = folder / "edged.toml"
    table = f'[station.bench]\nkind = "{kind}"\nport = "{PORTS[medium]}"\n[station.bench.settings]\n'
    file.write_text('site = "lab"\ndevice = "board"\n' + table + "\n".join(lines))
    config = load(file, environ={}).configuration.station["bench"]
    device, clock = registry.load(kind), ManualClock()
    settings = replace(device.default_settings, **config.settings.model_dump(exclude_none=True))
    bench = DriverInstrument(device, config.port, settings, open_link=lambda *_: plug(firmware, clock), clock=clock)
    try:
        bench.open()
        bench.prepare()
        bench.keep_alive()
        return bench.scan()
    finally:
        bench.close()


@pytest.mark.parametrize(
    ("kind", "medium", "make", "name", "text"),
    [
        pytest.param(kind, medium, make, name, text, id=f"{kind} {medium} {name} = {text}")
        for kind, medium, make, given in UNITS
        for name, text in given
    ],
)
def test_a_setting_reaches_a_scan(tmp_path: Path, kind: str, medium: Medium, make: Make, name: str, text: str) -> None:
    lines = [f"{name} = {text}", *(["laser_unattended = true"] if name == "laser_mw" else [])]

    scan = scanned(tmp_path, kind, medium, make(), *lines)

    wanted = {"true": True, "false": False}[text] if text in ("true", "false") else float(text)
    assert getattr(scan.settings, name) == wanted
    if name in ("gain", "laser_mw"):
        assert getattr(scan, name) == pytest.approx(float(text), rel=0.01)  # a gain in tenths of dB
    if name == "repeats" and kind != "nirscan":
        assert len(scan.raw) == 2
    if name == "points":
        assert len(scan.counts) == 100


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in HAS_NONE.items() for name in sorted(names)])
def test_a_setting_that_no_model_of_a_kind_has_is_refused_in_words(tmp_path: Path, kind: str, name: str) -> None:
    _, medium, make, _ = next(unit for unit in UNITS if unit[0] == kind)

    with pytest.raises(BadSettings, match=name):
        scanned(tmp_path, kind, medium, make(), f"{name} = 10")


@pytest.mark.parametrize("kind", registry.kinds())
def test_every_setting_of_every_kind_is_tried_here(kind: str) -> None:
    tried = {name for unit, _, _, given in UNITS if unit == kind for name, _ in given}

    assert tried | HAS_NONE.get(kind, set()) == settings_of(kind)
