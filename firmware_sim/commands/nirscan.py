"""`edged-sim nirscan`: one simulated NIRscan Nano, on its UART or on USB HID."""

from __future__ import annotations

from pathlib import Path

import click

from firmware_sim.commands._attach import Attachment, attachable, serve
from firmware_sim.devices.nirscan import OWN_FAULTS, NirscanNano, NirscanOnHid, NirscanOnHidraw, Unit
from firmware_sim.sample import Products, Replay, Source, Tray, Twin
from firmware_sim.spectra_file import SpectraFileError, read_spectra


@click.command(short_help="a TI NIRscan Nano / InnoSpectra NIR-M-R2 on a terminal or USB HID")
@click.option(
    "--sample", "names", help="Samples in turn, NAME[,NAME...]; a product, white or dark. Default: all products."
)
@click.option(
    "--twin", metavar="NAME|FILE.npz", help="Products of another twin: one that comes along, or edged-export twin's."
)
@click.option("--replay", type=click.Path(path_type=Path), help="CSV file of absorbance spectra to show instead.")
@attachable("pty", "usbredir", serial_number="SIM0001", length="1 to 7 characters.")
@click.option(
    "--white", type=click.IntRange(min=0), default=1, show_default=True, help="First scans that see the tile."
)
@click.option(
    "--strict-gap", is_flag=True, help="Drop a request that pauses for more than 1 ms, as real firmware does."
)
@click.option("--hid", is_flag=True, help="USB HID: with --pty the terminal stands in for a hidraw node.")
def nirscan(
    *,
    names: str | None,
    twin: str | None,
    replay: Path | None,
    white: int,
    strict_gap: bool,
    hid: bool,
    at: Attachment,
) -> None:
    """Simulate a TI NIRscan Nano / InnoSpectra NIR-M-R2, on its UART behind a pseudo terminal or on USB HID.

    Runs until SIGTERM, Ctrl-C or `quit`, then removes the link. Events go to standard output, one JSON object a line;
    standard input takes: white, sample NAME, drift HOW, faults PLAN, hangup [SECONDS], quit.

    The first scan sees the white tile, so let it be the reference; before a later one, type: white.

    Faults count replies or scans from 1: drop corrupt truncate delay duplicate sequence busy hangup (replies), stale
    error early_done short_light saturate (scans), garbage=BYTES, estimate=MS. NAME=0.1 is a chance, NAME@3-5 a range,
    numbers after colons say more: delay=0.2:0.5, hangup@7:1200:2, error@4:32. On USB HID there is also
    continuation@REPLY:REPORT, a report of a long reply that is lost.

    What drifts, from the next scan on, `drift none` to end it: lamp=-0.01 (filament 1 % cooler), axis=0.3 (nm),
    offset=0.02 (absorbance), path=1.1 (in the sample), product=100LA:0.1 (a tenth of another product).

    With --usbredir it is a USB HID instrument of a virtual machine, whose kernel makes a /dev/hidraw for it.

    \b
    Examples:
      edged-sim nirscan --pty /tmp/nirscan --sample 100AC,100AA --seed 7
      edged-sim nirscan --pty /tmp/nirscan --replay RawNIRData.csv --speed 0
      edged-sim nirscan --pty /tmp/nirscan --twin my-spectra.npz
      edged-sim nirscan --hid --pty /tmp/hidraw
    """
    if replay is not None and (names or twin) is not None:
        raise click.UsageError("--sample or --twin and --replay exclude each other")
    tray = Tray(_source(names, twin, replay), white=white, seed=at.seed)
    unit = Unit(serial_number=at.serial_number)
    if at.medium == "pty" and not hid:
        faults = at.faults()
        device = NirscanNano(tray, unit=unit, seed=at.seed, speed=at.speed, faults=faults, strict_gap=strict_gap)
        serve(device, at)
        return
    if strict_gap:
        raise click.UsageError("--strict-gap is of the UART; USB HID has no pauses within a report")
    on_hid = NirscanOnHidraw if at.medium == "pty" else NirscanOnHid
    serve(on_hid(tray, unit=unit, seed=at.seed, speed=at.speed, faults=at.faults(OWN_FAULTS)), at, own=OWN_FAULTS)


def _source(names: str | None, twin: str | None, replay: Path | None) -> Source:
    if replay is None:
        chosen = None if names is None else [name.strip() for name in names.split(",")]
        return Products(chosen, Twin.chosen(twin) if twin is not None else None)
    try:
        return Replay(read_spectra(replay))
    except OSError as error:
        raise SpectraFileError(f"{replay}: {error.strerror}") from error
