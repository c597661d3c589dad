"""`edged-sim nirscan`: one simulated NIRscan Nano behind a pseudo terminal."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from firmware_sim.contract import Event, OperatorError
from firmware_sim.devices.nirscan import NirscanNano, Unit
from firmware_sim.faults import FaultPlan, FaultPlanError
from firmware_sim.hosts.lines import PathTaken, PtyHost
from firmware_sim.sample import Products, Replay, Source, Tray
from firmware_sim.spectra_file import SpectraFileError, read_spectra


@click.command(short_help="a TI NIRscan Nano / InnoSpectra NIR-M-R2 on a pseudo terminal")
@click.option("--pty", "link", type=click.Path(path_type=Path), required=True, help="Link to make to the terminal.")
@click.option(
    "--sample", "names", help="Samples in turn, NAME[,NAME...]; a product, white or dark. Default: all products."
)
@click.option("--replay", type=click.Path(path_type=Path), help="CSV file of absorbance spectra to show instead.")
@click.option("--faults", "plan", default="", help="What goes wrong, as in drop=0.01,corrupt@3,hangup@7:200:1.5.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="All chance follows from it.")
@click.option(
    "--speed", type=click.FloatRange(min=0), default=1.0, show_default=True, help="1 real time; 0 no waiting."
)
@click.option("--serial-number", default="SIM0001", show_default=True, help="1 to 7 characters.")
@click.option(
    "--white", type=click.IntRange(min=0), default=1, show_default=True, help="First scans that see the tile."
)
@click.option(
    "--strict-gap", is_flag=True, help="Drop a request that pauses for more than 1 ms, as real firmware does."
)
@click.option("--json", "as_json", is_flag=True, help="JSON lines even on a terminal; elsewhere they always are.")
def nirscan(
    *,
    link: Path,
    names: str | None,
    replay: Path | None,
    plan: str,
    seed: int,
    speed: float,
    serial_number: str,
    white: int,
    strict_gap: bool,
    as_json: bool,
) -> None:
    """Simulate a TI NIRscan Nano / InnoSpectra NIR-M-R2 (UART) behind a pseudo terminal.

    Runs until SIGTERM, Ctrl-C or `quit`, then removes the link. Events go to standard output, one JSON object a line;
    standard input takes: white, sample NAME, faults PLAN, hangup [SECONDS], quit.

    The first scan sees the white tile, so let it be the reference; before a later one, type: white.

    Faults count replies or scans from 1: drop corrupt truncate delay duplicate sequence busy hangup (replies), stale
    error early_done short_light saturate (scans), garbage=BYTES, estimate=MS. NAME=0.1 is a chance, NAME@3-5 a range,
    numbers after colons say more: delay=0.2:0.5, hangup@7:1200:2, error@4:32.

    \b
    Examples:
      edged-sim nirscan --pty /tmp/nirscan --sample 100AC,100AA --seed 7
      edged-sim nirscan --pty /tmp/nirscan --replay RawNIRData.csv --speed 0
    """
    if names is not None and replay is not None:
        raise click.UsageError("--sample and --replay exclude each other")
    try:
        device = NirscanNano(
            Tray(_source(names, replay), white=white, seed=seed),
            unit=Unit(serial_number=serial_number),
            seed=seed,
            speed=speed,
            faults=FaultPlan.parse(plan, seed=seed),
            strict_gap=strict_gap,
        )
        PtyHost(device, link.absolute(), _teller(as_json or not sys.stdout.isatty())).serve()
    except (OperatorError, FaultPlanError, SpectraFileError, PathTaken) as error:
        raise click.UsageError(str(error)) from error


def _source(names: str | None, replay: Path | None) -> Source:
    if replay is None:
        return Products() if names is None else Products([name.strip() for name in names.split(",")])
    try:
        return Replay(read_spectra(replay))
    except OSError as error:
        raise SpectraFileError(f"{replay}: {error.strerror}") from error


class _teller:  # noqa: N801  called like the function that it is
    """Print events, as JSON lines or for a human."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json

    def __call__(self, event: Event) -> None:
        """Print one event at once. A reader that has gone is not a reason to stop."""
        words = dict(event)
        text = (
            json.dumps(event)
            if self._as_json
            else f"{words.pop('event')}: " + " ".join(f"{key}={value}" for key, value in words.items())
        )
        try:
            click.echo(text)
            sys.stdout.flush()
        except BrokenPipeError:
            pass
