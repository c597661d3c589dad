"""Entry point of `edged`. Subcommands are looked up by name, so `edged run` never loads what `edged demo` needs."""

from __future__ import annotations

import importlib
import os

import click

from edged import __version__

COMMANDS = {  # name -> module in edged.cli; the command object in it bears the module's name
    "demo": "simulated handhelds, a broker, the daemon: nothing else needed",
    "run": "the daemon",
    "check": "validate the configuration: all problems at once",
    "doctor": "clock, disk, groups, udev, ports, broker, bundle, CPU features",
    "status": "one screen; exit 1 if unwell",
    "devices": "what is plugged in, and what it needs",
    "measure": "one reading, one verdict",
    "selftest": "a standard against its table: axis, resolution, intensity, dark level",
    "analyze": "spectra from files to verdicts, no daemon, no device",
    "drift": "what changed in instruments and products, and since when",
    "journal": "list, show, verify, export the journal of record",
    "bundle": "list, show, verify, install, activate, roll back models",
}

# Matrices here are small: threads of BLAS would wait for each other longer than they work, and take the cores of those
# who judge beside them.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # or pydantic looks for some in every installed package


class LazyGroup(click.Group):
    """A group whose help text needs no import of its commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order in which a newcomer meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command, or None when there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(f"edged.cli.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table above."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, prog_name="edged")
def main() -> None:
    """From a handheld spectrometer's light to a verdict, safe on disk and on MQTT.

    Start here: edged demo
    """
