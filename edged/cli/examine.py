"""What `edged doctor` looks at: each examination returns findings, with a cure where something is not as it should be.

An examination changes nothing, raises nothing, and takes a few seconds at most.
"""

from __future__ import annotations

import grp
import os
import platform
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edged.bundle.manifest import Manifest
from edged.config.vocabulary import Configuration, StationConfig

if TYPE_CHECKING:
    from edged.infer.analyze import Analyzer

Level = Literal["ok", "warn", "fail"]

UDEV_RULES = "70-edged.rules"
UDEV_FOLDERS = ("/etc/udev/rules.d", "/run/udev/rules.d", "/usr/local/lib/udev/rules.d", "/usr/lib/udev/rules.d")
PORT_GROUP = "dialout"
BROKER_WITHIN_S = 5.0
SPEEDING = {  # processor features that int8 models gain from, by architecture; without them they are right but slower
    "x86_64": ("avx2", "avx512_vnni", "avx_vnni"),
    "aarch64": ("asimddp", "i8mm"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at. `cure` is empty when the level is ok."""

    about: str
    level: Level
    text: str
    cure: str = ""


def examine(configuration: Configuration, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Look at everything, one finding after the other."""
    yield _clock()
    yield from _disk(configuration)
    yield _groups()
    yield _udev()
    yield from _ports(configuration)
    yield _broker(configuration, environ)
    yield from _bundle(configuration)
    yield _processor()
    yield _daemon(configuration)


def _clock() -> Finding:
    from edged.service.clock import is_clock_synced

    if is_clock_synced():
        return Finding(about="clock", level="ok", text="follows a time server")
    return Finding(
        about="clock",
        level="warn",
        text="follows no time server; records will say that their wall time is not to be trusted",
        cure="timedatectl set-ntp true, or install chrony",
    )


def _disk(configuration: Configuration) -> Iterator[Finding]:
    folder, reserve = Path(configuration.storage.path), configuration.storage.reserve_mb * 2**20
    if not folder.is_dir():
        yield Finding(
            about="disk",
            level="fail",
            text=f"{folder}: no such folder",
            cure=f"the service makes it when it starts; by hand: mkdir -p {folder}",
        )
        return
    if not os.access(folder, os.W_OK | os.X_OK):
        yield Finding(
            about="disk",
            level="fail",
            text=f"{folder}: this user may not write there",
            cure=f"run as the service's user, or: chown edged:edged {folder}",
        )
    free = shutil.disk_usage(folder).free
    if free < reserve:
        yield Finding(
            about="disk",
            level="fail",
            text=f"{folder}: {free >> 20} MB free, the reserve is {reserve >> 20} MB; measurements are refused",
            cure="make room, or lower storage.attachments_max_mb",
        )
    elif free < 4 * reserve:
        yield Finding(about="disk", level="warn", text=f"{folder}: only {free >> 20} MB free", cure="make room soon")
    else:
        yield Finding(about="disk", level="ok", text=f"{folder}: {free / 2**30:.1f} GiB free")


def _groups() -> Finding:
    try:
        wanted = grp.getgrnam(PORT_GROUP)
    except KeyError:
        return Finding(about="groups", level="warn", text=f"there is no group {PORT_GROUP}", cure="ls -l /dev/tty*")
    if os.geteuid() == 0 or wanted.gr_gid in {os.getegid(), *os.getgroups()}:
        return Finding(about="groups", level="ok", text=f"this user may open serial ports ({PORT_GROUP})")
    return Finding(
        about="groups",
        level="warn",
        text=f"this user is not in group {PORT_GROUP}",
        cure=f"usermod -aG {PORT_GROUP} USER, then log in again; the service gets it from its unit",
    )


def _udev() -> Finding:
    for folder in UDEV_FOLDERS:
        if (Path(folder) / UDEV_RULES).exists():
            return Finding(about="udev", level="ok", text=f"rules are installed in {folder}")
    return Finding(
        about="udev",
        level="warn",
        text="the rules that give instruments to the service are not installed",
        cure=f"install -m 644 systemd/{UDEV_RULES} /etc/udev/rules.d/ && udevadm control --reload",
    )


def _ports(configuration: Configuration) -> Iterator[Finding]:
    from drivers.links.ports import BadPort, medium_of

    if not configuration.station:
        yield Finding(
            about="ports", level="warn", text="no station is configured", cure="edged devices, then [station.NAME]"
        )
    for name, station in configuration.station.items():
        about = f"port of {name}"
        try:
            medium = medium_of(station.port)
        except BadPort as error:
            yield Finding(about=about, level="fail", text=error.message, cure=error.hint)
            continue
        if medium == "tcp":
            yield Finding(about=about, level="ok", text=f"{station.port}: the daemon connects when it measures")
        elif medium == "serial" or station.port.startswith("/"):
            yield _node(about, Path(station.port))
        else:
            yield _unit(about, station.kind, station.port)


def _unit(about: str, kind: str, port: str) -> Finding:
    """An instrument on the bus, by its place or as the only one."""
    from drivers.discover import usb_units
    from drivers.registry import load

    units = usb_units([load(kind)])
    found = [unit for unit in units if unit.port == port or ":" not in port]
    if not found:
        return Finding(about=about, level="warn", text=f"{port}: not there", cure="plug it in, or: edged devices")
    if len(found) > 1:
        names = ", ".join(unit.port for unit in found)
        return Finding(
            about=about, level="fail", text=f"{port}: {len(found)} are plugged in", cure=f"name one: {names}"
        )
    unit = found[0]
    if unit.access == "denied":
        return Finding(about=about, level="fail", text=f"{unit.port}: may not be opened", cure=unit.note)
    text = f"{unit.port}: usable, {unit.description}" + (f"; {unit.note}" if unit.note else "")
    return Finding(about=about, level="ok", text=text)


def _node(about: str, port: Path) -> Finding:
    from drivers.links.holders import holders_of, owner_of

    if not port.exists():
        return Finding(about=about, level="warn", text=f"{port}: not there", cure="plug it in, or: edged devices")
    if not port.is_char_device():
        return Finding(about=about, level="fail", text=f"{port}: not a serial port", cure="edged devices")
    if not os.access(port, os.R_OK | os.W_OK):
        return Finding(
            about=about,
            level="fail",
            text=f"{port}: permission denied, it belongs to {owner_of(str(port))}",
            cure=f"add this user to group {PORT_GROUP}, or install the udev rules",
        )
    holders = [h for h in holders_of(str(port)) if not h.startswith("edged")]
    text = f"{port}: usable" + (f"; open in {', '.join(holders)}" if holders else "")
    return Finding(about=about, level="ok", text=text)


def _broker(configuration: Configuration, environ: Mapping[str, str]) -> Finding:
    mqtt = configuration.mqtt
    where = f"{mqtt.host}:{mqtt.port}"
    if not mqtt.enabled:
        return Finding(about="broker", level="ok", text="none is wanted (mqtt.enabled is false)")
    try:
        socket.create_connection((mqtt.host, mqtt.port), BROKER_WITHIN_S).close()
    except OSError as error:
        return Finding(
            about="broker",
            level="warn",
            text=f"{where}: {error.strerror or error}; results would be kept and sent later",
            cure="is the broker running, mqtt.host right, the firewall open?",
        )
    from edged.service.settings import password_file

    secret = password_file(mqtt, environ)
    if secret is not None and not os.access(secret, os.R_OK):
        return Finding(
            about="broker",
            level="fail",
            text=f"{secret}: this user may not read the password",
            cure=f"chown edged {secret} && chmod 400 {secret}",
        )
    return Finding(about="broker", level="ok", text=f"{where}: accepts connections")


def _bundle(configuration: Configuration) -> Iterator[Finding]:
    """The bundle of the stations that name none, unless each does, then every one that a station names for itself."""
    from edged.service.settings import path_or_none
    from edged.service.threads import load_analyzer, named_analyzer

    storage, stations = Path(configuration.storage.path), dict(configuration.station)
    usual = {name: station for name, station in stations.items() if station.bundle is None}
    if usual or not stations:
        path = path_or_none(configuration.bundle.path)
        yield from _one_bundle("bundle", lambda: load_analyzer(path, storage), configuration, usual)
    for text in dict.fromkeys(station.bundle for station in stations.values() if station.bundle is not None):
        own = {name: station for name, station in stations.items() if station.bundle == text}
        about = f"bundle of {', '.join(own)}"
        yield from _one_bundle(about, partial(named_analyzer, text, storage), configuration, own)


def _one_bundle(
    about: str, load: Callable[[], Analyzer], configuration: Configuration, stations: Mapping[str, StationConfig]
) -> Iterator[Finding]:
    from edged.bundle.errors import BundleError
    from edged.infer.errors import InferError, NotOffered

    try:
        analyzer = load()
    except (BundleError, InferError) as error:
        yield Finding(about=about, level="fail", text=error.message, cure=error.hint or "edged bundle list")
        return
    manifest = analyzer.bundle.manifest
    yield Finding(
        about=about,
        level="ok",
        text=f"{manifest.name} {manifest.version}, {_knows(manifest)}, computes here as it should",
    )

    for name, station in stations.items():
        claimed = station.claimed  # a command may name it later: then any class will do here
        if station.procedure == "verify" and claimed is None and manifest.classes:
            claimed = manifest.classes[0].label
        try:
            preset = station.preset or configuration.bundle.preset
            analyzer.question(procedure=station.procedure, preset=preset, claimed=claimed)
        except NotOffered as error:
            yield Finding(
                about=f"question of {name}", level="fail", text=error.message, cure=f"station.{name}: {error.hint}"
            )


def _knows(manifest: Manifest) -> str:
    """What the model tells apart, finds in mixtures and quantifies."""
    counts = {"classes": len(manifest.classes), "compounds": len(manifest.compounds), "amounts": len(manifest.amounts)}
    return " and ".join(f"{n} {word if n > 1 else word.removesuffix('s')}" for word, n in counts.items() if n)


def _processor() -> Finding:
    machine = platform.machine()
    if machine not in SPEEDING:
        return Finding(
            about="processor",
            level="fail",
            text=f"{machine}: there is no onnxruntime for it",
            cure="use a 64-bit system: aarch64 or x86_64",
        )
    found = set(Path("/proc/cpuinfo").read_text("utf-8", errors="replace").split())
    present = [name for name in SPEEDING[machine] if name in found]
    text = f"{machine}, {os.cpu_count()} cores, {', '.join(present) or 'no int8 features: models run slower'}"
    return Finding(about="processor", level="ok", text=text)


def _daemon(configuration: Configuration) -> Finding:
    from edged.service.control import NotRunning, Refusal, ask

    path = Path(configuration.control.path)
    try:
        status = ask(path, {"do": "status"}, within_s=BROKER_WITHIN_S)
    except NotRunning as error:
        return Finding(about="daemon", level="warn", text=error.message, cure=error.hint)
    except Refusal as error:
        return Finding(about="daemon", level="fail", text=error.message, cure=error.hint or "journalctl -u edged")
    if status["state"] == "unwell":
        return Finding(about="daemon", level="fail", text=f"pid {status['pid']} is unwell", cure="edged status")
    return Finding(about="daemon", level="ok", text=f"pid {status['pid']} is {status['state']}")
