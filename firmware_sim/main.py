"""Entry point of `edged-sim`. Subcommands are looked up by name, so that help loads neither numpy nor a device."""

from __future__ import annotations

import importlib

import click

COMMANDS = {  # name -> what it says of itself; the object is in firmware_sim.commands, "-" written "_"
    "nirscan": "a TI NIRscan Nano / InnoSpectra NIR-M-R2 on a pseudo terminal",
    "obp": "an Ocean STS, Spark, QE Pro, Ventana, FX or HDX on RS-232, TCP or USB",
    "ooi": "an Ocean NIRQuest, Flame, USB2000+, USB4000, HR, QE65000, Maya or Apex on USB",
    "wasatch": "a Wasatch Photonics WP Raman spectrometer with its laser, FX2 or ARM, on USB",
    "csvserial": "a board that prints CSV over a serial port",
}


class LazyGroup(click.Group):
    """A group whose help text needs no import of its commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands, instruments first."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command, or None when there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        command = getattr(importlib.import_module(f"firmware_sim.commands.{name}"), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table above."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
def main() -> None:
    """Simulated spectrometers: the other end of the wire, with physics behind it.

    Start here: edged-sim nirscan --pty /tmp/nirscan
    """


if __name__ == "__main__":
    main()
