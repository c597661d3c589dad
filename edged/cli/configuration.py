"""How a command finds its configuration: one set of options, one way to report mistakes, one exit status."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from edged.config.load import DEFAULT_PATH, load
from edged.config.problems import ConfigurationError
from edged.config.vocabulary import Configuration

EXIT_CONFIGURATION = 78  # EX_CONFIG of sysexits.h; the unit does not restart on it

F = TypeVar("F", bound=Callable[..., object])


def config_options(command: F) -> F:
    """Add --config and --set."""
    command = click.option(
        "--set",
        "assignments",
        multiple=True,
        metavar="KEY=VALUE",
        help="Set one key, over files and environment: --set mqtt.host=broker",
    )(command)
    return click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="EDGED_CONFIG",
        default=DEFAULT_PATH,
        show_default=True,
        help="The configuration file; FILE.d/*.toml are laid over it.",
    )(command)


def load_or_exit(config: Path, assignments: tuple[str, ...] = ()) -> Configuration:
    """Return the configuration, or print every problem and exit with status 78."""
    try:
        return load(config, environ=os.environ, flags=assignments).configuration
    except ConfigurationError as error:
        report(error)
        raise SystemExit(EXIT_CONFIGURATION) from None


def report(error: ConfigurationError) -> None:
    """Print every problem to stderr, one a line, and their number."""
    for problem in error.problems:
        click.echo(str(problem), err=True)
    count = len(error.problems)
    click.echo(f"{count} problem{'s' if count != 1 else ''} in the configuration", err=True)
