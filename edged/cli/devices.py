"""`edged devices`: what is plugged in, and what each needs before edged can use it."""

from __future__ import annotations

import dataclasses
import json

import click


@click.command(epilog="Example: edged devices --json")
@click.option("--json", "as_json", is_flag=True, help="Print one object: ports, units and kinds.")
def devices(*, as_json: bool) -> None:
    """List serial ports with hardware behind them, instruments on USB, and the families edged knows. Opens nothing.

    Exit status: 0, also when nothing is plugged in; 1 when something cannot be used as things are.
    """
    from drivers.discover import serial_ports, usb_units
    from drivers.registry import kinds, load

    ports = serial_ports()
    families = [load(kind) for kind in kinds()]
    units = usb_units(families)
    if as_json:
        document = {
            "ports": [dataclasses.asdict(port) for port in ports],
            "units": [dataclasses.asdict(unit) for unit in units],
            "kinds": [{"kind": f.kind, "title": f.title, "links": list(f.links)} for f in families],
        }
        click.echo(json.dumps(document, indent=2))
    else:
        for port in ports:
            usb = f" usb {port.vid:04x}:{port.pid:04x}" if port.vid is not None and port.pid is not None else ""
            serial = f" serial {port.serial_number}" if port.serial_number else ""
            what = port.description if port.description not in ("", "n/a") else "serial port of the board"
            click.echo(f"{port.by_id or port.path}  {what}{usb}{serial}")
            if port.access != "ok":
                click.echo(f"    {port.access}: {port.note}")
        for unit in units:
            serial = f" serial {unit.serial_number}" if unit.serial_number else ""
            click.echo(f"{unit.port}  {unit.kind or '?'}: {unit.description} usb {unit.vid:04x}:{unit.pid:04x}{serial}")
            if unit.access != "ok":
                click.echo(f"    {unit.access}: {unit.note}")
        if not (ports or units):
            click.echo("no serial port with hardware behind it, no instrument on USB; plug one in, or try: edged demo")
        click.echo("known device families: " + ", ".join(f"{f.kind} ({f.title})" for f in families))
    if any(access != "ok" for access in [*(port.access for port in ports), *(unit.access for unit in units)]):
        raise SystemExit(1)
