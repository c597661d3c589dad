"""How a command talks to the running daemon, and how its refusals look to a human and to a program."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

import click

from edged.service.control import NotAnswered, NotRunning, Refusal, ask

EXIT_REFUSED = 1
EXIT_NOT_RUNNING = 3  # as LSB's status: the program is not running
EXIT_NOT_ANSWERED = 4  # it ran, and what was asked of it may be done
STATUS_WITHIN_S = 5.0


def ask_for_record(path: Path, request: dict[str, Any], *, as_json: bool, readings: int = 1) -> dict[str, Any]:
    """Return the record that a station is asked for, or say what is wrong and exit: 4 where no answer came.

    All else is as `ask_daemon`. The daemon says how long it may take. readings: at most so many, one after the other.
    """
    status = ask_daemon(path, {"do": "status"}, within_s=STATUS_WITHIN_S, as_json=as_json)
    station = next((found for found in status["stations"] if found["name"] == request["station"]), None)
    within_s = STATUS_WITHIN_S if station is None else readings * station["answers_within_s"]  # None: it is refused
    try:
        return ask(path, request, within_s=within_s)
    except NotAnswered as error:
        message = f"{error.message}; the measurement may be recorded all the same"
        _say("not_answered", message, "before you measure again, see: edged journal list", as_json=as_json)
        raise SystemExit(EXIT_NOT_ANSWERED) from None
    except (Refusal, NotRunning) as error:
        _give_up(error, as_json=as_json)


def ask_daemon(path: Path, request: dict[str, Any], *, within_s: float, as_json: bool) -> dict[str, Any]:
    """Return the result, or say what is wrong and exit: 1 refused, 3 nobody there."""
    try:
        return ask(path, request, within_s=within_s)
    except (Refusal, NotRunning) as error:
        _give_up(error, as_json=as_json)


def _give_up(error: Refusal | NotRunning, *, as_json: bool) -> NoReturn:
    if isinstance(error, Refusal):
        _say(error.code, error.message, error.hint, as_json=as_json)
        raise SystemExit(EXIT_REFUSED) from None
    message = error.message if as_json else f"no daemon to ask: {error.message}"
    _say("not_running", message, error.hint, as_json=as_json)
    raise SystemExit(EXIT_NOT_RUNNING) from None


def _say(code: str, message: str, hint: str, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"error": {"code": code, "message": message, "hint": hint}}))
    else:
        click.echo(f"edged: {message}" + (f"\n       {hint}" if hint else ""), err=True)
