"""What the commands of all kinds share: where the instrument hangs, what goes wrong, and how events are told.

@click.command(short_help=...)
@click.option("--model", ...)
@attachable("usb", "usbredir", serial_number="SIM0001")
def kind(*, model: str, at: Attachment) -> None:
    serve(Kind(model, seed=at.seed, speed=at.speed, faults=at.faults(OWN)), at, own=OWN)
"""

from __future__ import annotations

import functools
import importlib
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import click

from firmware_sim.contract import Event, Firmware, OperatorError, UsbFirmware
from firmware_sim.faults import FaultPlan, FaultPlanError
from firmware_sim.spectra_file import SpectraFileError

Medium = Literal["pty", "tcp", "usb", "usbredir"]
Command = Callable[..., None]

USBREDIR = "firmware_sim.hosts.usbredir"  # offered where this host is part of the installation

OPTIONS: dict[Medium, Callable[[Command], Command]] = {
    "pty": click.option("--pty", type=click.Path(path_type=Path), help="Link to make to the terminal."),
    "tcp": click.option("--tcp", type=click.IntRange(0, 65535), help="Port to listen at on 127.0.0.1; 0 chooses one."),
    "usb": click.option("--usb", is_flag=True, help="A USB device for programs that run under umockdev."),
    "usbredir": click.option("--usbredir", help="A USB device for a virtual machine: port or socket to listen at."),
}
ARGUMENTS: dict[Medium, str] = {
    "pty": "--pty PATH",
    "tcp": "--tcp PORT",
    "usb": "--usb",
    "usbredir": "--usbredir WHERE",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """Where one instrument hangs, and what the shared options say. `where`: path, port or address, by the medium."""

    medium: Medium
    where: str
    plan: str
    seed: int
    speed: float
    serial_number: str
    as_json: bool

    def faults(self, own: Mapping[str, int] | None = None) -> FaultPlan:
        """Return the plan of faults. Raises FaultPlanError. own: as in FaultPlan.parse."""
        return FaultPlan.parse(self.plan, seed=self.seed, own=own)


def attachable(*media: Medium, serial_number: str, length: str) -> Callable[[Command], Command]:
    """Add the shared options, handed over as `at`; a mistake in them or in what is made of them is a usage error.

    serial_number: the usual one. length: what the help says about it.
    """

    offered = [medium for medium in media if medium != "usbredir" or find_spec(USBREDIR) is not None]

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def run(plan: str, seed: int, speed: float, serial_number: str, as_json: bool, **more: Any) -> None:
            given: list[tuple[Medium, str]] = []
            for medium in offered:
                value = more.pop(medium)
                if value is not None and value is not False:
                    given.append((medium, str(value)))
            if len(given) != 1:
                raise click.UsageError(f"say where it hangs: {' or '.join(ARGUMENTS[medium] for medium in offered)}")
            (medium, where), *_ = given
            at = Attachment(
                medium=medium,
                where=where,
                plan=plan,
                seed=seed,
                speed=speed,
                serial_number=serial_number,
                as_json=as_json or not sys.stdout.isatty(),
            )
            try:
                command(at=at, **more)
            except (OperatorError, FaultPlanError, SpectraFileError) as error:
                raise click.UsageError(str(error)) from error

        command_line: Command = run
        shared: tuple[Callable[[Command], Command], ...] = (
            *(OPTIONS[medium] for medium in offered),
            click.option(
                "--faults", "plan", default="", help="What goes wrong, as in drop=0.01,corrupt@3,hangup@7:200:1.5."
            ),
            click.option(
                "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="All chance follows from it."
            ),
            click.option(
                "--speed",
                type=click.FloatRange(min=0),
                default=1.0,
                show_default=True,
                help="1 real time; 0 no waiting.",
            ),
            click.option("--serial-number", default=serial_number, show_default=True, help=length),
            click.option(
                "--json", "as_json", is_flag=True, help="JSON lines even on a terminal; elsewhere they always are."
            ),
        )
        for option in reversed(shared):
            command_line = option(command_line)
        return command_line

    return decorate


def serve(device: Firmware | UsbFirmware, at: Attachment, *, own: Mapping[str, int] | None = None) -> None:
    """Let the instrument hang there until it is told to stop. Raises click.UsageError for a place that is taken.

    device: what fits the medium: a `Firmware` for a line of bytes, a `UsbFirmware` for USB. Faults of transfers are
    then put around it; own: the scan faults of its family besides, for a plan that the operator gives.
    """
    tell = teller(at.as_json)
    match at.medium:
        case "pty":
            from firmware_sim.hosts.pty import PathTaken, PtyLine
            from firmware_sim.hosts.stream import StreamHost

            try:
                StreamHost(device, PtyLine(Path(at.where).absolute()), tell).serve()  # type: ignore[arg-type]
            except PathTaken as error:
                raise click.UsageError(str(error)) from error
        case "tcp":
            from firmware_sim.hosts.stream import StreamHost
            from firmware_sim.hosts.tcp import PortTaken, TcpLine

            try:
                StreamHost(device, TcpLine(int(at.where)), tell).serve()  # type: ignore[arg-type]
            except PortTaken as error:
                raise click.UsageError(str(error)) from error
        case "usb":
            from firmware_sim.hosts.umockdev import NoTestbed, serve_umockdev
            from firmware_sim.usb_faults import FaultyUsb

            try:
                serve_umockdev([FaultyUsb(device, at.faults(own), own=own)], tell)  # type: ignore[arg-type]
            except NoTestbed as error:
                raise click.ClickException(str(error)) from error
        case "usbredir":
            from firmware_sim.usb_faults import FaultyUsb

            host = importlib.import_module(USBREDIR)
            host.serve_usbredir(FaultyUsb(device, at.faults(own), own=own), at.where, tell)  # type: ignore[arg-type]


def teller(as_json: bool) -> Callable[[Event], None]:
    """Return what prints events at once, as JSON lines or for a human. A reader that has gone is no reason to stop."""

    def tell(event: Event) -> None:
        words = dict(event)
        text = (
            json.dumps(event)
            if as_json
            else f"{words.pop('event')}: " + " ".join(f"{key}={value}" for key, value in words.items())
        )
        try:
            click.echo(text)
            sys.stdout.flush()
        except BrokenPipeError:
            pass

    return tell
