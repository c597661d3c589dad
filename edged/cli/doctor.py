"""`edged doctor`: look at everything that edged stands on, and say how to mend what is not right."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import click

from edged.cli.configuration import config_options, load_or_exit
from edged.cli.examine import examine

COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command(epilog="Example: edged doctor --json")
@config_options
@click.option("--json", "as_json", is_flag=True, help="Print a list of findings: about, level, text, cure.")
def doctor(config: Path, assignments: tuple[str, ...], *, as_json: bool) -> None:
    """Examine clock, disk, groups, udev, ports, broker, bundle, processor and daemon. Changes nothing.

    Exit status: 0 nothing fails, 1 something does, 78 bad configuration.
    """
    configuration = load_or_exit(config, assignments)
    findings = []
    for finding in examine(configuration, os.environ):
        findings.append(finding)
        if not as_json:
            mark = click.style(f"{finding.level:4}", fg=COLOURS[finding.level])
            click.echo(f"{mark}  {finding.about}: {finding.text}")
            if finding.cure:
                click.echo(f"      {finding.cure}")
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=2))
    if any(finding.level == "fail" for finding in findings):
        raise SystemExit(1)
