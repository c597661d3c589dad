"""`edged-sim ooi`: one simulated Ocean spectrometer of the legacy protocol, on USB."""

from __future__ import annotations

import click

from firmware_sim.commands._attach import Attachment, attachable, serve
from firmware_sim.devices._ooi_memory import STATES
from firmware_sim.devices._ooi_models import MODELS
from firmware_sim.devices.ooi import SPECTRUM_FAULTS, OoiSpectrometer
from firmware_sim.sample import Products
from firmware_sim.scene import Raman, Ramp, Scene, lamp_with

RAMP = "ramp"


@click.command(short_help="an Ocean NIRQuest, Flame, USB2000+, USB4000, HR, QE65000, Maya or Apex on USB")
@click.option("--model", type=click.Choice(list(MODELS)), default="nirquest512", show_default=True, help="Which one.")
@click.option("--sample", help="A product or compound, white, dark, or ramp. Default: products in turn; polystyrene.")
@click.option(
    "--white", type=click.IntRange(min=0), default=1, show_default=True, help="First samples that are the tile."
)
@click.option(
    "--frames", type=click.IntRange(min=1), default=1, show_default=True, help="Spectra before the next sample."
)
@click.option("--memory", type=click.Choice(STATES), default="good", show_default=True, help="What its memory is like.")
@click.option("--full-speed", is_flag=True, help="As behind an old hub: 12 Mbit/s, packets of 64 bytes.")
@attachable("usb", "usbredir", serial_number="SIM0001", length="1 to 14 characters.")
def ooi(
    *, model: str, sample: str | None, white: int, frames: int, memory: str, full_speed: bool, at: Attachment
) -> None:
    """Simulate an Ocean spectrometer of the legacy protocol.

    Runs until SIGTERM, Ctrl-C or `quit`. Events go to standard output, one JSON object a line; standard input takes:
    sample NAME, next, trigger, faults PLAN, quit. The Apex sees its sample under a laser that is always on.

    Faults of this family count spectra: no_sync bad_sync short_spectrum[:BYTES] stall_spectrum stale saturate.

    \b
    Examples:
      edged-sim ooi --usb --model nirquest512 --sample 100AC --seed 7
      edged-sim ooi --usbredir 4000 --model usb4000 --sample ramp --faults no_sync@3
    """
    device = OoiSpectrometer(
        _scene(sample, raman=MODELS[model].laser_nm is not None, white=white, seed=at.seed),
        model=model,
        serial_number=at.serial_number,
        seed=at.seed,
        speed=at.speed,
        faults=at.faults(SPECTRUM_FAULTS),
        high_speed=not full_speed,
        memory_state=memory,
        frames_per_sample=frames,
    )
    serve(device, at, own=SPECTRUM_FAULTS)


def _scene(sample: str | None, *, raman: bool, white: int, seed: int) -> Scene:
    if sample == RAMP:
        return Ramp()
    if raman:
        scene = Raman()
        if sample is not None:
            scene.place(sample)
        return scene
    return lamp_with(Products(None if sample is None else [sample]), white=white, seed=seed)
