"""How a command talks to the running daemon, and how its refusals look to a human and to a program."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from edged.service.control import NotRunning, Refusal, ask

EXIT_REFUSED = 1
EXIT_NOT_RUNNING = 3  # as LSB's status: the program is not running


def ask_daemon(path: Path, request: dict[str, Any], *, within_s: float, as_json: bool) -> dict[str, Any]:
    """Return the result, or say what is wrong and exit: 1 refused, 3 nobody there."""
    try:
        return ask(path, request, within_s=within_s)
    except Refusal as error:
        _say(error.code, error.message, error.hint, as_json=as_json)
        raise SystemExit(EXIT_REFUSED) from None
    except NotRunning as error:
        message = error.message if as_json else f"no daemon to ask: {error.message}"
        _say("not_running", message, error.hint, as_json=as_json)
        raise SystemExit(EXIT_NOT_RUNNING) from None


def _say(code: str, message: str, hint: str, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"error": {"code": code, "message": message, "hint": hint}}))
    else:
        click.echo(f"edged: {message}" + (f"\n       {hint}" if hint else ""), err=True)
