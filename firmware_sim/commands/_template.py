"""`edged-sim _template`: one simulated Acme N1 behind a pseudo terminal. Invented: copy this file and replace it."""

from __future__ import annotations

import click

from firmware_sim.commands._attach import Attachment, attachable, serve
from firmware_sim.devices._template import QUIRKS, AcmeN1
from firmware_sim.sample import Products
from firmware_sim.scene import lamp_with


@click.command(short_help="an Acme N1 on a serial port")
@click.option("--sample", help="A product, white or dark. Default: all products in turn.")
@click.option("--quirk", "quirks", type=click.Choice(QUIRKS), multiple=True, help="How it differs; repeatable.")
@attachable("pty", serial_number="000123", length="6 digits.")
def _template(*, sample: str | None, quirks: tuple[str, ...], at: Attachment) -> None:
    """Simulate an Acme N1.

    Runs until SIGTERM, Ctrl-C or `quit`, then removes the link. Events go to standard output, one JSON object a line;
    standard input takes: sample NAME, faults PLAN, hangup [SECONDS], quit.

    \b
    Example:
      edged-sim _template --pty /tmp/n1 --sample 100AC --seed 7
    """
    device = AcmeN1(
        lamp_with(Products(None if sample is None else [sample]), white=1, seed=at.seed),
        serial_number=at.serial_number,
        seed=at.seed,
        speed=at.speed,
        faults=at.faults(),
        quirks=quirks,
    )
    serve(device, at)
