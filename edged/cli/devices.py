"""`edged devices`: what is plugged in, and what each needs before edged can use it."""

from __future__ import annotations

import dataclasses
import json

import click


@click.command(epilog="Example: edged devices --json")
@click.option("--json", "as_json", is_flag=True, help="Print one object: ports and kinds.")
def devices(*, as_json: bool) -> None:
    """List serial ports with hardware behind them, and the device families that edged knows. Opens nothing.

    Exit status: 0, also when nothing is plugged in; 1 when a port cannot be used as things are.
    """
    from drivers.discover import serial_ports
    from drivers.registry import kinds, load

    ports = serial_ports()
    families = [load(kind) for kind in kinds()]
    if as_json:
        document = {
            "ports": [dataclasses.asdict(port) for port in ports],
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
        if not ports:
            click.echo("no serial port with hardware behind it; plug in an instrument, or try: edged demo")
        click.echo("known device families: " + ", ".join(f"{f.kind} ({f.title})" for f in families))
    if any(port.access != "ok" for port in ports):
        raise SystemExit(1)
