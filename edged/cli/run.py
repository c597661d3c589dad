"""`edged run`: the daemon in the foreground, as systemd wants it."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from pathlib import Path

import click

from edged.cli.configuration import config_options, load_or_exit

LEVELS = ["debug", "info", "warning", "error"]


@click.command(epilog="Example: edged run --config ./edged.toml")
@config_options
@click.option(
    "--log-level", type=click.Choice(LEVELS), default="info", show_default=True, help="debug shows every byte."
)
@click.option("--no-web", is_flag=True, help="Serve no page; as this version serves none, it changes nothing.")
def run(config: Path, assignments: tuple[str, ...], log_level: str, *, no_web: bool) -> None:
    """Run the daemon until SIGTERM or Ctrl-C.

    It becomes ready without an instrument and without a network; both may come and go.

    Exit status: 0 stopped in order, 1 could not start or stop in order, 78 bad configuration.
    """
    configuration = load_or_exit(config, assignments)
    logging.basicConfig(level=log_level.upper(), format=_log_format(), stream=sys.stderr)
    from edged.service.app import Daemon
    from edged.service.memory import use_one_arena
    from edged.store.errors import StoreError

    use_one_arena()

    async def live() -> bool:
        return await Daemon(configuration, environ=os.environ).run()

    try:
        in_order = asyncio.run(live())
    except StoreError as error:
        click.echo(f"edged: {error}", err=True)
        raise SystemExit(1) from None
    except OSError as error:
        click.echo(f"edged: {error}", err=True)
        raise SystemExit(1) from None
    raise SystemExit(0 if in_order else 1)


def _log_format() -> str:
    """The system's journal stamps lines itself; a terminal does not."""
    name = "%(levelname)s %(name)s: %(message)s"
    return name if "JOURNAL_STREAM" in os.environ else f"%(asctime)s {name}"
