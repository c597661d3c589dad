"""`edged-sim csvserial`: one simulated board that prints CSV, behind a pseudo terminal."""

from __future__ import annotations

import click

from firmware_sim.commands._attach import Attachment, attachable, serve
from firmware_sim.devices.csvserial import QUIRKS, ROW_FAULTS, CsvBoard
from firmware_sim.sample import Products
from firmware_sim.scene import lamp_with


@click.command(short_help="a board that prints CSV over a serial port")
@click.option("--sample", help="A product, white or dark. Default: all products in turn.")
@click.option(
    "--white",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="First rows under the lamp that are white.",
)
@click.option("--quirk", "quirks", type=click.Choice(QUIRKS), multiple=True, help="How its sketch differs; repeatable.")
@attachable("pty", serial_number="SIM0001", length="1 to 32 characters.")
def csvserial(*, sample: str | None, white: int, quirks: tuple[str, ...], at: Attachment) -> None:
    """Simulate a maker's board that prints its spectra as lines of text, as docs/csv-over-serial.md describes.

    Runs until SIGTERM, Ctrl-C or `quit`, then removes the link. Events go to standard output, one JSON object a line;
    standard input takes: sample NAME, faults PLAN, hangup [SECONDS], quit.

    Faults of its own count rows: short_row repeated.

    \b
    Examples:
      edged-sim csvserial --pty /tmp/board --sample 100AC --seed 7
      edged-sim csvserial --pty /tmp/board --quirk plain --quirk crlf --quirk resets
    """
    device = CsvBoard(
        lamp_with(Products(None if sample is None else [sample]), white=white, seed=at.seed),
        serial_number=at.serial_number,
        seed=at.seed,
        speed=at.speed,
        faults=at.faults(ROW_FAULTS),
        quirks=quirks,
    )
    serve(device, at, own=ROW_FAULTS)
