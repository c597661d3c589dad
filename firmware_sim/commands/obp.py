"""`edged-sim obp`: one simulated Ocean instrument that speaks the Ocean Binary Protocol."""

from __future__ import annotations

import click

from firmware_sim.commands._attach import Attachment, attachable, serve
from firmware_sim.contract import OperatorError
from firmware_sim.devices._obp_firmware import BAUDS, QUIRKS
from firmware_sim.devices._obp_models import MODELS
from firmware_sim.devices.obp import NETWORK_BAUD, OWN_FAULTS, ObpOnLine, ObpOnUsb
from firmware_sim.mixtures import Library, Mixtures
from firmware_sim.sample import Products
from firmware_sim.scene import Raman, Ramp, Scene, lamp_with

RAMP = "ramp"


@click.command(short_help="an Ocean STS, Spark, QE Pro, Ventana, FX or HDX on RS-232, TCP or USB")
@click.option("--model", type=click.Choice(list(MODELS)), default="sts-nir", show_default=True, help="Which one.")
@click.option("--sample", help="A product or compound, white, dark, or ramp. Default: products in turn; polystyrene.")
@click.option(
    "--library",
    metavar="NAME|FILE.npz",
    help="For a Ventana: mixtures of the liquids of this library: solvents13, or edged-export twin's.",
)
@click.option(
    "--baud",
    type=click.Choice([str(baud) for baud in BAUDS]),
    default="9600",
    show_default=True,
    help="Rate that it wakes up with on RS-232.",
)
@click.option("--quirk", "quirks", multiple=True, type=click.Choice(sorted(QUIRKS)), help="May be repeated.")
@click.option("--white/--no-white", default=True, show_default=True, help="The tile is there first.")
@click.option(
    "--frames-per-sample",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Then the next sample is there; 0: when the operator says next.",
)
@attachable("pty", "tcp", "usb", "usbredir", serial_number="SIM0001", length="1 to 16 characters.")
def obp(
    *,
    model: str,
    sample: str | None,
    library: str | None,
    baud: str,
    quirks: tuple[str, ...],
    white: bool,
    frames_per_sample: int,
    at: Attachment,
) -> None:
    """Simulate an Ocean instrument with the Ocean Binary Protocol.

    Runs until SIGTERM, Ctrl-C or `quit`. Events go to standard output, one JSON object a line; standard input takes:
    sample NAME, next, faults PLAN, hangup [SECONDS], quit. A Ventana tells each change of its laser. A sample of a
    library is a liquid, or several with the percents of light that each gives.

    Fault of its own: off_refused, which counts requests to switch the laser off.

    On a pseudo terminal it understands a program only at its own baud rate, and bytes take their time.

    \b
    Examples:
      edged-sim obp --pty /tmp/sts --model sts-nir --sample 100AC --seed 7
      edged-sim obp --tcp 57357 --model fx --sample ramp
      edged-sim obp --pty /tmp/ventana --model ventana --library solvents13 --sample "Toluene 60 Ethanol 40"
    """
    if not 1 <= len(at.serial_number) <= 16 or not at.serial_number.isascii():
        raise OperatorError(f"serial number {at.serial_number!r}: 1 to 16 plain characters")
    facts = MODELS[model]
    face = ObpOnUsb if at.medium in ("usb", "usbredir") else ObpOnLine
    rate = NETWORK_BAUD if at.medium == "tcp" and facts.tells_product else int(baud)
    device = face(
        model,
        _scene(sample, library, raman=facts.laser_nm is not None, white=white, seed=at.seed),
        serial_number=at.serial_number,
        seed=at.seed,
        speed=at.speed,
        faults=at.faults(OWN_FAULTS),
        quirks=quirks,
        baud=rate,
        frames_per_sample=frames_per_sample,
    )
    serve(device, at, own=OWN_FAULTS)


def _scene(sample: str | None, library: str | None, *, raman: bool, white: bool, seed: int) -> Scene:
    if library is not None and (sample == RAMP or not raman):
        raise OperatorError("--library is for a model with a laser, and not for ramp")
    if sample == RAMP:
        return Ramp()
    if raman:
        scene: Raman | Mixtures = Raman() if library is None else Mixtures(Library.chosen(library), seed=seed)
        if sample is not None:
            scene.place(sample)
        return scene
    return lamp_with(Products(None if sample is None else [sample]), white=int(white), seed=seed)
