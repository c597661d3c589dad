"""`edged check`: read the configuration exactly as `edged run` does, and report every mistake."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from edged.cli.configuration import EXIT_CONFIGURATION, config_options, report
from edged.config.load import load
from edged.config.problems import ConfigurationError


@click.command(epilog="Example: edged check --config ./edged.toml")
@config_options
@click.option("--json", "as_json", is_flag=True, help="Print one object: valid, sources, stations, problems.")
def check(config: Path, assignments: tuple[str, ...], *, as_json: bool) -> None:
    """Validate the configuration: all problems at once, with file, line, key, and what is allowed.

    Exit status: 0 valid, 78 not.
    """
    try:
        loaded = load(config, environ=os.environ, flags=assignments)
    except ConfigurationError as error:
        if as_json:
            click.echo(json.dumps({"valid": False, "problems": [p.as_json() for p in error.problems]}))
        else:
            report(error)
        raise SystemExit(EXIT_CONFIGURATION) from None
    stations = list(loaded.configuration.station)
    if as_json:
        click.echo(json.dumps({"valid": True, "sources": loaded.sources, "stations": stations, "problems": []}))
    else:
        click.echo(f"valid: {', '.join(loaded.sources)}; stations: {', '.join(stations) or 'none'}")
