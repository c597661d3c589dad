"""`edged-sim wasatch`: one simulated Wasatch Photonics spectrometer, on USB."""

from __future__ import annotations

import click

from firmware_sim.commands._attach import Attachment, attachable, serve
from firmware_sim.devices._wasatch_memory import MODELS, STATES
from firmware_sim.devices.wasatch import OWN_FAULTS, WasatchSpectrometer
from firmware_sim.scene import RAMAN_LINES, Raman, Ramp, Scene

RAMP = "ramp"


@click.command(short_help="a Wasatch Photonics WP Raman spectrometer with its laser, FX2 or ARM, on USB")
@click.option("--model", type=click.Choice(list(MODELS)), default="wp785xs", show_default=True, help="Which one.")
@click.option(
    "--sample",
    type=click.Choice([*RAMAN_LINES, RAMP]),
    default="polystyrene",
    show_default=True,
    help="What the laser shines on; the ramp shines by itself.",
)
@click.option("--memory", type=click.Choice(STATES), default="good", show_default=True, help="What its memory is like.")
@attachable("usb", "usbredir", serial_number="WP-01234", length="1 to 16 characters.")
def wasatch(*, model: str, sample: str, memory: str, at: Attachment) -> None:
    """Simulate a Wasatch Photonics spectrometer and its laser.

    Runs until SIGTERM, Ctrl-C or `quit`. Events go to standard output, one JSON object a line; standard input takes:
    interlock open, interlock closed, watchdog (it runs out now), sample NAME, faults PLAN, quit.

    Faults of this family count spectra: dim flat lost late[:SECONDS] short_frame[:BYTES] stall_frame interlock_opens
    watchdog_expires stale saturate; requests to switch the laser on: enable_refused; off: off_ignored readback_stuck;
    requests inward: short_read[:BYTES]; plugging in: slow_boot[:SECONDS].

    \b
    Examples:
      edged-sim wasatch --usb --sample paracetamol --seed 7
      edged-sim wasatch --usbredir 4000 --model xs-imx --faults interlock_opens@9
    """
    scene: Scene = Ramp() if sample == RAMP else Raman(name=sample)
    device = WasatchSpectrometer(
        scene,
        model=model,
        serial_number=at.serial_number,
        seed=at.seed,
        speed=at.speed,
        faults=at.faults(OWN_FAULTS),
        memory_state=memory,
    )
    serve(device, at, own=OWN_FAULTS)
