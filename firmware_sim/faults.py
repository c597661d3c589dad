"""A plan of faults: which replies and scans go wrong, how, and reproducibly.

Grammar, items separated by commas, blanks ignored, an empty plan or `none` = nothing goes wrong:

    item   NAME [= VALUE [: MORE]...] [@ FIRST [- [LAST]] [: MORE]...]

    VALUE  probability 0...1 for each reply or scan, unless the table says otherwise; without = and @: every one
    @      from FIRST to LAST, counted from 1 from the moment the plan is given; `@3` only the third, `@3-` from it on

    drop       reply   not sent
    corrupt    reply   one byte changed
    truncate   reply   cut at a random byte, or after MORE bytes
    delay      reply   MORE seconds late (1)
    duplicate  reply   sent twice
    sequence   reply   carries another sequence number than the request
    busy       reply   the request is answered "busy"
    hangup     reply   the line is lost after MORE bytes of it (0), and back after MORE seconds (1)
               `hangup=BYTES[:SECONDS]`: lost once, after so many bytes of all replies together
    stall      reply   on USB: lost, and the pipe halts until it is cleared
    slow       reply   on USB: late by MORE seconds a KiB (0.1)
    garbage    line    `garbage=BYTES`: random bytes in front of the first reply after each opening (32)
    stale      scan    ends well, says the instrument, but the data stay those of the scan before
    error      scan    fails with error code MORE (4, lamp); no scan starts until the status is cleared
    early_done scan    "done" at once; the first transfer afterwards is still of the scan before
    short_light scan   too little light: the data image is not valid
    saturate   scan    a glint after the gain was set: the detector is at its positive full scale
    estimate   -       `estimate=MS`: this answer to the question for the scan time (-1)

Times are seconds of the clock on the wall, whatever the simulator's speed. Chance depends on the seed, the item and
the count only. A scan is counted when it is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np

REPLY_FAULTS = ("drop", "corrupt", "truncate", "delay", "duplicate", "sequence", "busy", "hangup", "stall", "slow")
SCAN_FAULTS = ("stale", "error", "early_done", "short_light", "saturate")
PLAIN_VALUES = {"garbage": 32.0, "estimate": -1.0}  # name -> what it means without "="
MOST_PARAMETERS = {"truncate": 1, "delay": 1, "hangup": 2, "slow": 1, "error": 1}
MAX_GARBAGE_BYTES = 4096
EXAMPLE = "drop=0.01,corrupt@3,hangup@7:200:1.5"

_ITEM = re.compile(
    r"(?P<name>[a-z_]+)"
    r"(?:=(?P<value>-?[\d.]+(?::-?[\d.]+)*))?"
    r"(?:@(?P<first>\d+)(?P<to>-(?P<last>\d+)?)?(?P<more>(?::-?[\d.]+)*))?"
)


class FaultPlanError(ValueError):
    """The text is not a fault plan; the message shows the item and what is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One item of a plan. `probability` 1 strikes every time; `last` None means for ever."""

    name: str
    probability: float = 1.0
    first: int = 1
    last: int | None = None
    parameters: tuple[float, ...] = ()

    def parameter(self, index: int, default: float) -> float:
        """Return one of the numbers behind the colons, or the default where it was not given."""
        return self.parameters[index] if index < len(self.parameters) else default


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultPlan:
    """What goes wrong. `hangup_after` is (bytes of all replies together, seconds) or None: no such item."""

    faults: tuple[Fault, ...] = ()
    garbage_bytes: int = 0
    estimate_ms: int | None = None
    hangup_after: tuple[int, float] | None = None
    seed: int = 0

    @classmethod
    def parse(cls, text: str, *, seed: int = 0, own: Mapping[str, int] | None = None) -> FaultPlan:
        """Read a plan. Raises FaultPlanError with the first item that is wrong.

        own: scan faults that one family has besides, name -> how many numbers may follow it after colons.
        """
        plan = cls(seed=seed)
        if text.strip() in {"", "none"}:
            return plan
        for item in text.split(","):
            plan = _with_item(plan, "".join(item.split()), own or {})
        return plan

    def strikes(self, name: str, count: int) -> Fault | None:
        """Return the item that hits reply or scan number `count`, or None: the same answer each time it is asked."""
        for index, fault in enumerate(self.faults):
            if fault.name != name or count < fault.first or (fault.last is not None and count > fault.last):
                continue
            if fault.probability >= 1 or self.chance(name, count, index).random() < fault.probability:
                return fault
        return None

    def chance(self, name: str, count: int, index: int = 0) -> np.random.Generator:
        """Return the generator for the random choices of one fault at one count."""
        return np.random.default_rng([self.seed, crc32(name.encode()), count, index])


def _with_item(plan: FaultPlan, item: str, own: Mapping[str, int]) -> FaultPlan:
    found = _ITEM.fullmatch(item)
    if found is None:
        raise FaultPlanError(f"fault {item!r} is not NAME[=VALUE][@FIRST[-LAST]][:MORE]; example: {EXAMPLE}")
    name = found["name"]
    if name not in (*REPLY_FAULTS, *SCAN_FAULTS, *PLAIN_VALUES, *own):
        known = ", ".join(sorted((*REPLY_FAULTS, *SCAN_FAULTS, *PLAIN_VALUES, *own)))
        raise FaultPlanError(f"fault {item!r}: no fault {name!r}; there are {known}")
    value, *behind_value = _numbers(item, found["value"] or "")
    parameters = (*behind_value, *_numbers(item, found["more"] or "")[1:])
    if name in PLAIN_VALUES:
        if found["first"] or parameters:
            raise FaultPlanError(f"fault {item!r}: {name} takes only a value, as in {name}={PLAIN_VALUES[name]:.0f}")
        return _with_plain_value(plan, item, name, PLAIN_VALUES[name] if value is None else value)
    given: tuple[float, ...] = tuple(number for number in parameters if number is not None)
    most = own.get(name, MOST_PARAMETERS.get(name, 0))
    if len(given) > most or any(number < 0 for number in given):
        raise FaultPlanError(f"fault {item!r}: {name} takes at most {most} numbers after colons, none negative")
    if name == "hangup" and not found["first"]:
        return _with_hangup_after(plan, item, value, given)
    if value is not None and not 0 <= value <= 1:
        raise FaultPlanError(f"fault {item!r}: {value:g} is not a probability from 0 to 1")
    first = int(found["first"] or 1)
    last = None if not found["first"] or (found["to"] and not found["last"]) else int(found["last"] or first)
    if first < 1 or (last is not None and last < first):
        raise FaultPlanError(f"fault {item!r}: counts begin at 1 and must not go back")
    if name == "error" and given and not (given[0].is_integer() and 1 <= given[0] <= 255):
        raise FaultPlanError(f"fault {item!r}: an error code is a whole number from 1 to 255")
    fault = Fault(name=name, probability=1.0 if value is None else value, first=first, last=last, parameters=given)
    return replace(plan, faults=(*plan.faults, fault))


def _with_plain_value(plan: FaultPlan, item: str, name: str, value: float) -> FaultPlan:
    check: dict[str, Callable[[float], bool]] = {
        "garbage": lambda number: 1 <= number <= MAX_GARBAGE_BYTES,
        "estimate": lambda number: -(2**31) <= number < 2**31,
    }
    if not (value.is_integer() and check[name](value)):
        limits = f"1 to {MAX_GARBAGE_BYTES} bytes" if name == "garbage" else "a whole number of ms in 32 bits"
        raise FaultPlanError(f"fault {item!r}: {name} takes {limits}")
    if name == "garbage":
        return replace(plan, garbage_bytes=int(value))
    return replace(plan, estimate_ms=int(value))


def _with_hangup_after(plan: FaultPlan, item: str, value: float | None, given: tuple[float, ...]) -> FaultPlan:
    if value is None or not value.is_integer() or value < 0 or len(given) > 1:
        raise FaultPlanError(
            f"fault {item!r}: say hangup@REPLY:BYTE[:SECONDS], or hangup=BYTES[:SECONDS] counted over all replies"
        )
    return replace(plan, hangup_after=(int(value), given[0] if given else 1.0))


def _numbers(item: str, text: str) -> list[float | None]:
    """Return the numbers between colons; what is absent in front is None."""
    try:
        return [float(part) if part else None for part in text.split(":")]
    except ValueError as error:
        raise FaultPlanError(f"fault {item!r}: {text!r} holds something that is not a number") from error
