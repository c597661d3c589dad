"""The state of the charts as bytes, and back. What is read is checked: a file may have been tampered with."""

from __future__ import annotations

import dataclasses
import io
import json
import math
from collections.abc import Collection
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edged.monitor.baseline import BATCHES, LEAST_BATCHES, Baseline
from edged.monitor.monitor import Key, Monitor
from edged.monitor.product import HISTORY, MAX_READINGS, ROWS, Alarm, Learning, Watching
from edged.monitor.template import COMPONENTS, MAX_POINTS, Grid, Learnt, Template
from edged.monitor.white import WhiteWatch
from edged.monitor.words import CAUSES, SIGNALS, WHITE_SIGNALS, Signal

Array = NDArray[Any]

EDITION: Final = 3  # of what is written here; another one is learned anew from the journal
MAX_COUNT: Final = 2**62  # of readings, or a record's number: one more of anything still fits 64 bits
_K: Final = len(SIGNALS)
_CHARTS: Final = ("cusum", "since", "level")
_WATCHED: Final = ("pending", "pending_row", "rows", "history", "history_from")


class StateDamaged(ValueError):
    """The bytes are no state that `pack` wrote. Cure: read the journal again."""


class OtherEdition(StateDamaged):
    """The state is whole, but of an edition that another version of edged writes. The cure is the same."""


def key_text(key: Key) -> str:
    """Return a key as text."""
    return json.dumps([key.station, key.serial_number, key.bundle, key.product])


def pack(watch: Learning | Watching | WhiteWatch) -> bytes:
    """Return the bytes of a .npz: plain arrays, and the rest as JSON."""
    match watch:
        case Learning():
            plain: dict[str, Any] = {"is": "learning", "varies": watch.varies}
            arrays = _grid_arrays(watch.grid, plain) | {
                "learned_rows": np.array(watch.rows, dtype=np.float32).reshape(len(watch.rows), -1),
                "others": np.array(watch.others, dtype=np.float64).reshape(-1, 2),
            }
        case Watching():
            plain = {"is": "watching", "alarm": _alarm_plain(watch.alarm)}
            plain |= {name: getattr(watch, name) for name in ("pending_from", "calm", "readings", "by_chance")}
            plain |= {"batch": watch.baseline.batch, "learned_from": watch.baseline.readings}
            learnt = watch.template.learnt
            plain["left"] = learnt.left
            arrays = _grid_arrays(watch.template.grid, plain)
            arrays |= {name: getattr(learnt, name) for name in ("mean", "scale", "components", "spread")}
            arrays |= {"centre": watch.baseline.centre, "spreads": watch.baseline.spread}
            arrays |= {name: getattr(watch.charts, name) for name in _CHARTS}
            arrays |= {name: getattr(watch, name) for name in _WATCHED}
        case WhiteWatch():
            plain = {"is": "white", "alarm": _alarm_plain(watch.alarm), "optics": watch.optics}
            arrays = {"axis": watch.axis, "light": watch.light}
    plain["edition"] = EDITION
    file = io.BytesIO()
    arrays["plain"] = np.frombuffer(json.dumps(plain).encode(), dtype=np.uint8)
    np.savez(file, allow_pickle=False, **arrays)
    return file.getvalue()


def unpack_into(monitor: Monitor, text: str, body: bytes) -> None:
    """Put one watch back. Raises StateDamaged, OtherEdition among it."""
    try:
        with np.load(io.BytesIO(body), allow_pickle=False) as file:
            plain: dict[str, Any] = json.loads(bytes(file["plain"]))
            _check_edition(plain["edition"])
            key = _key(text)
            match plain["is"]:
                case "learning":
                    monitor.products[key] = _learning(monitor, file, plain)
                case "watching":
                    monitor.products[key] = _watching(monitor, file, plain)
                case "white":
                    monitor.whites[key] = _white(monitor, file, plain)
                case _:
                    raise StateDamaged("no kind of watch")
    except StateDamaged:
        raise
    except Exception as error:  # what numpy, zipfile and json raise on damaged bytes is not listed anywhere
        raise StateDamaged(f"{type(error).__name__}: {error}") from error


def _check_edition(edition: Any) -> None:
    _require(_is_count(edition), "edition")
    if edition != EDITION:
        raise OtherEdition(f"edition {edition}, this version writes edition {EDITION}")


def _key(text: str) -> Key:
    station, serial_number, bundle, product = json.loads(text)
    f"{station}{serial_number}{bundle}{product}".encode()  # half of a surrogate pair: no record could name it
    _require(product is None or isinstance(product, str), "key")
    return Key(station=str(station), serial_number=str(serial_number), bundle=str(bundle), product=product)


def _learning(monitor: Monitor, file: Any, plain: dict[str, Any]) -> Learning:
    grid = _grid(file, plain)
    rows, others = _array(file, "learned_rows", (None, len(grid.axis))), _array(file, "others", (None, 2), finite=False)
    _require(len(rows) == len(others) <= MAX_READINGS, "as many rows as others")
    rules = monitor.rules
    varies = plain.get("varies") is True  # not known of what former versions kept
    watch = Learning(grid=grid, wanted=rules.readings, false_alarm_every=rules.false_alarm_every, varies=varies)
    watch.rows = list(rows.astype(np.float32))
    if varies and len(rows) >= rules.readings:  # they came in lots, else they would have taught
        watch.wanted, watch.in_lots = MAX_READINGS, True
    watch.others = [(float(sensor), float(score)) for sensor, score in others]
    return watch


def _watching(monitor: Monitor, file: Any, plain: dict[str, Any]) -> Watching:
    grid = _grid(file, plain)
    m = len(grid.axis)
    components = _array(file, "components", (None, m))
    _require(len(components) <= COMPONENTS, "number of components")
    learnt = Learnt(
        mean=_array(file, "mean", (m,)),
        scale=_array(file, "scale", (m,)),
        components=components,
        spread=_array(file, "spread", (len(components),)),
        left=float(plain["left"]),
    )
    by_chance = float(plain["by_chance"])
    _require(bool((learnt.scale > 0).all()) and learnt.left > 0, "scale")
    _require(math.isfinite(learnt.left) and math.isfinite(by_chance), "by_chance or left")
    centre, spreads = _array(file, "centre", (_K,)), _array(file, "spreads", (_K,), finite=False)
    _require(bool((spreads > 0).all()) and plain["batch"] in BATCHES, "baseline")
    _require(LEAST_BATCHES * plain["batch"] <= int(plain["learned_from"]) <= MAX_READINGS, "learned_from")
    watch = Watching(
        template=Template(learnt, grid),
        baseline=Baseline(batch=plain["batch"], centre=centre, spread=spreads, readings=int(plain["learned_from"])),
        by_chance=by_chance,
        false_alarm_every=monitor.rules.false_alarm_every,
    )
    shapes: dict[str, tuple[int | None, ...]] = {"cusum": (2, _K), "since": (2, _K), "level": (_K,)}
    for name in _CHARTS:
        setattr(watch.charts, name, _array(file, name, shapes[name]))
    for name in ("pending_from", "calm", "readings"):
        _require(_is_count(plain[name]), name)
        setattr(watch, name, plain[name])
    _require(_are_counts(watch.charts.since) and bool((watch.charts.since <= watch.readings).all()), "since")
    shapes = {
        "pending": (None, _K),
        "pending_row": (m,),
        "rows": (None, m),
        "history": (None, _K),
        "history_from": (None,),
    }
    for name in _WATCHED:
        setattr(watch, name, _array(file, name, shapes[name]))
    sizes = (len(watch.pending), watch.baseline.batch), (len(watch.rows), ROWS), (len(watch.history), HISTORY)
    _require(all(size <= most for size, most in sizes), "lengths")
    _require(len(watch.history) == len(watch.history_from) and _are_counts(watch.history_from), "history")
    watch.alarm = _alarm(plain["alarm"], SIGNALS, ("cusum",))
    return watch


def _white(monitor: Monitor, file: Any, plain: dict[str, Any]) -> WhiteWatch:
    axis = _array(file, "axis", (None,))
    _require(2 <= len(axis) <= MAX_POINTS and bool((np.diff(axis) > 0).all()), "axis")
    light, optics = _array(file, "light", (len(axis),)), plain["optics"]
    _require(isinstance(optics, dict), "optics")
    watch = WhiteWatch(axis=axis, light=light, optics=optics, limit=monitor.rules.white_change)
    watch.alarm = _alarm(plain["alarm"], WHITE_SIGNALS, ("white",))
    return watch


def _grid_arrays(grid: Grid, plain: dict[str, Any]) -> dict[str, Array]:
    plain |= {"unit": grid.unit, "has_lamp": grid.has_lamp}
    return {"axis": grid.axis}


def _grid(file: Any, plain: dict[str, Any]) -> Grid:
    axis = _array(file, "axis", (None,))
    _require(8 <= len(axis) <= MAX_POINTS and bool((np.diff(axis) > 0).all()), "axis")
    _require(plain["unit"] in ("nm", "cm-1"), "unit")
    return Grid(axis=axis, unit=plain["unit"], has_lamp=bool(plain["has_lamp"]))


def _array(file: Any, name: str, shape: tuple[int | None, ...], *, finite: bool = True) -> Array:
    array: Array = file[name]
    fits = len(array.shape) == len(shape) and all(w in (None, h) for w, h in zip(shape, array.shape, strict=True))
    _require(fits and array.dtype.kind in "fi" and array.size <= MAX_READINGS * MAX_POINTS, name)
    _require(not finite or bool(np.isfinite(array).all()), name)
    return array


def _alarm_plain(alarm: Alarm | None) -> dict[str, Any] | None:
    return None if alarm is None else dataclasses.asdict(alarm)


def _alarm(plain: dict[str, Any] | None, signals: Collection[Signal], charts: Collection[str]) -> Alarm | None:
    """Read an alarm that charts of these signals can give: what is told of it later must not fail."""
    if plain is None:
        return None
    alarm = Alarm(**plain)
    names = {signal.name for signal in signals}
    _require(alarm.cause in CAUSES and alarm.chart in charts and set(alarm.changes) <= names, "words of an alarm")
    _require(alarm.signal in alarm.changes, "signal of an alarm")
    numbers = (alarm.value, alarm.limit, *alarm.changes.values())
    _require(all(type(number) in (int, float) and math.isfinite(number) for number in numbers), "numbers of an alarm")
    _require(all(_is_count(count) for count in (alarm.since, alarm.at, alarm.readings)), "counts of an alarm")
    return alarm


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < MAX_COUNT


def _are_counts(values: Array) -> bool:
    return values.dtype.kind == "i" and bool(((values >= 0) & (values < MAX_COUNT)).all())


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise StateDamaged(f"{what} does not fit")
