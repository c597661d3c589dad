"""The simulated laser of a Wasatch unit: light in its time, its power by hand calculation, and who can end it."""

from __future__ import annotations

import math
import struct

import numpy as np
import pytest

from firmware_sim.contract import Event, OperatorError, Setup, Stall
from firmware_sim.devices._wasatch_memory import FULL_MW
from firmware_sim.devices.wasatch import OWN_FAULTS, WasatchSpectrometer
from firmware_sim.faults import FaultPlan
from firmware_sim.scene import Raman, Ramp

FIRING, MAY_FIRE, ENABLED, WATCHDOG = (0xFF, 0x0D), (0xEF, 0), (0xE2, 0), (0xFF, 0x17)


class Bench:
    """A unit, and whoever talks to it."""

    def __init__(self, model: str = "wp785xs", plan: str = "", **options: object) -> None:
        faults = FaultPlan.parse(plan, own=OWN_FAULTS)
        self.unit = WasatchSpectrometer(Raman(), model=model, faults=faults, **options)  # type: ignore[arg-type]
        self.stage = bytes(8) if self.unit.model.is_arm else b""

    def tell(self, now_s: float, request: int, value: int = 0, index: int = 0, stage: bytes | None = None) -> None:
        data = self.stage if stage is None else stage
        setup = Setup(request_type=0x40, request=request, value=value, index=index, length=len(data))
        self.unit.control(setup, data, now_s)

    def ask(self, now_s: float, what: tuple[int, int]) -> int:
        setup = Setup(request_type=0xC0, request=what[0], value=what[1], index=0, length=64)
        return int.from_bytes(self.unit.control(setup, b"", now_s)[:2], "big")

    def light(self, now_s: float) -> list[tuple[float, float, float]]:
        self.unit.wake(now_s)
        return [(flash.start_s, flash.end_s, round(flash.power_mw, 3)) for flash in self.unit.laser.flashes]

    def events(self) -> list[Event]:
        return [event for event in self.unit.take_events() if event["event"] in ("light", "watchdog", "interlock")]


def test_light_comes_after_the_warning_and_ends_with_the_request():
    bench = Bench()
    bench.tell(1.0, 0xBE, 1)
    assert [bench.ask(at_s, FIRING) for at_s in (1.0, 3.9, 4.0, 6.0)] == [0, 0, 1, 1]
    bench.tell(6.5, 0xBE, 0)

    assert bench.ask(6.5, FIRING) == 0
    assert bench.light(100.0) == [(4.0, 6.5, 450.045)]


def test_a_request_for_off_within_the_warning_leaves_it_dark():
    bench = Bench()
    bench.tell(1.0, 0xBE, 1)
    bench.tell(3.5, 0xBE, 0)

    assert bench.light(100.0) == []


def test_the_warning_delay_can_be_set_and_asked():
    bench = Bench()
    bench.tell(0.0, 0x8A, 1)
    bench.tell(0.0, 0xBE, 1)

    assert bench.ask(0.5, (0x8B, 0)) == 1
    assert bench.light(9.0) == [(1.0, math.inf, 450.045)]


@pytest.mark.parametrize(("seconds", "ends_s"), [(10, 10.0), (4, 4.0), (2, None), (0, math.inf)])
def test_the_watchdog_counts_from_the_moment_of_enabling(seconds: int, ends_s: float | None):
    bench = Bench()
    bench.tell(0.0, 0xFF, 0x18, seconds)
    bench.tell(0.0, 0xBE, 1)

    assert bench.ask(0.0, WATCHDOG) == seconds
    assert bench.light(1_000.0) == ([] if ends_s is None else [(3.0, ends_s, 450.045)])
    assert bool(bench.ask(1_000.0, ENABLED)) == (seconds == 0)


def test_a_watchdog_is_told_and_another_request_starts_it_again():
    bench = Bench()
    bench.tell(0.0, 0xBE, 1)
    bench.tell(5.0, 0xBE, 1)  # already on: nothing starts anew
    bench.unit.wake(20.0)
    assert [event["event"] for event in bench.events()] == ["light", "light", "watchdog"]

    bench.tell(20.0, 0xBE, 1)
    assert bench.light(21.0) == [(3.0, 10.0, 450.045)]
    assert bench.light(40.0) == [(3.0, 10.0, 450.045), (23.0, 30.0, 450.045)]


def test_an_fx2_board_has_no_watchdog_and_no_warning():
    bench = Bench("wp785")
    bench.tell(0.0, 0xBE, 1)

    assert bench.light(3_600.0) == [(0.0, math.inf, 450.045)]
    with pytest.raises(Stall):
        bench.tell(0.0, 0xFF, 0x18, 10)


@pytest.mark.parametrize(
    ("width_us", "power_mw"), [(222, 0.222 * FULL_MW), (1, 0.001 * FULL_MW), (999, 0.999 * FULL_MW)]
)
def test_the_power_is_the_share_of_the_period(width_us: int, power_mw: float):
    bench = Bench()
    for request, value in ((0xC7, 1_000), (0xDB, width_us), (0xBD, 1), (0xBE, 1)):
        bench.tell(0.0, request, value)
    bench.tell(5.0, 0xBD, 0)
    bench.tell(6.0, 0xBE, 0)

    assert bench.light(9.0) == [(3.0, 5.0, round(power_mw, 3)), (5.0, 6.0, 450.045)]


def test_pulses_of_forty_bits_are_kept_whole():
    bench = Bench()
    bench.tell(0.0, 0xC7, 0x5678, 0x1234, bytes((0x9A,)) + bytes(7))
    setup = Setup(request_type=0xC0, request=0xCB, value=0, index=0, length=64)

    assert bench.unit.control(setup, b"", 0.0) == struct.pack("<Q", 0x9A_1234_5678)[:5]


def test_an_open_interlock_ends_the_light_and_keeps_it_off_until_it_is_closed_and_asked_again():
    bench = Bench()
    bench.tell(0.0, 0xBE, 1)
    bench.unit.wake(4.0)
    bench.unit.operate("interlock open")
    assert (bench.ask(4.0, MAY_FIRE), bench.ask(4.0, ENABLED), bench.ask(4.0, FIRING)) == (0, 0, 0)
    bench.tell(5.0, 0xBE, 1)
    bench.unit.wake(9.0)
    bench.unit.operate("interlock closed")
    assert bench.ask(9.0, MAY_FIRE) == 8

    assert bench.light(50.0) == [(3.0, 4.0, 450.045)]
    bench.tell(50.0, 0xBE, 1)
    assert bench.light(54.0)[1:] == [(53.0, math.inf, 450.045)]


def test_plugging_and_a_reset_of_the_bus_do_not_touch_the_laser():
    bench = Bench()
    bench.unit.plugged(0.0)
    bench.tell(0.0, 0xBE, 1)
    bench.unit.reset(4.0)
    bench.unit.plugged(5.0)

    assert bench.light(6.0) == [(3.0, math.inf, 450.045)]


def test_light_rises_to_its_full_power_while_the_laser_warms_up():
    bench = Bench()
    bench.tell(0.0, 0xBE, 1)
    bench.unit.wake(9.0)
    laser = bench.unit.laser
    moments = np.linspace(3.0, 9.0, 601)
    by_hand = 450.045 * (1 - 0.4 * np.exp(-(moments - 3.0)))  # 5 s of warm-up are five time constants

    for begin_s, end_s in ((3.0, 3.1), (3.0, 8.0), (5.0, 5.5), (1.0, 4.0), (8.0, 8.1)):
        inside = (moments >= max(begin_s, 3.0)) & (moments <= end_s + 1e-9)
        energy = np.trapezoid(by_hand[inside], moments[inside])
        assert laser.mean_mw(begin_s, end_s) == pytest.approx(energy / (end_s - begin_s), rel=1e-3)


def test_a_spectrum_sees_the_light_of_its_exposure_only():
    bench = Bench(exact=True)
    for at_s in (0.0, 0.2):  # dim, and dark
        bench.tell(at_s, 0xAD)
    for request, value in ((0xDB, 222), (0xBD, 1), (0xBE, 1)):
        bench.tell(0.5, request, value)
    bench.tell(3.45, 0xAD)  # half of its 100 ms is before the light
    bench.tell(9.0, 0xAD)
    bench.tell(9.3, 0xBE, 0)
    bench.tell(9.3, 0xAD)
    bench.unit.wake(20.0)
    _, dark, half, lit, after = (int(frame.max()) for frame in bench.unit.meant)

    assert dark == after == 0
    assert half == pytest.approx(0.5 * 0.6 * lit, rel=0.05)


@pytest.mark.parametrize(
    ("plan", "lit", "told"),
    [
        ("enable_refused@1", [], 0),
        ("off_ignored@1", [(3.0, 10.0, 450.045)], 1),
        ("readback_stuck@1", [(3.0, 5.0, 450.045)], 1),
    ],
)
def test_a_switch_that_sticks(plan: str, lit: list[tuple[float, float, float]], told: int):
    bench = Bench(plan=plan)
    bench.tell(0.0, 0xBE, 1)
    bench.unit.wake(5.0)
    bench.tell(5.0, 0xBE, 0)

    assert bench.ask(5.0, ENABLED) == told
    assert bench.light(60.0) == lit


def test_a_unit_without_a_laser_never_gives_light():
    bench = Bench(memory_state="no-laser")
    bench.tell(0.0, 0xBE, 1)

    assert bench.light(60.0) == []


@pytest.mark.parametrize("line", ["", "interlock", "interlock ajar", "watchdog 3", "sample sugar", "dance"])
def test_what_the_operator_cannot_mean_is_said(line: str):
    with pytest.raises(OperatorError):
        Bench().unit.operate(line)


def test_the_operator_lets_the_watchdog_run_out_and_places_samples():
    bench = Bench()
    bench.tell(0.0, 0xBE, 1)
    bench.unit.wake(4.0)
    bench.unit.operate("watchdog")
    bench.unit.operate("sample paracetamol")

    assert bench.light(60.0) == [(3.0, 4.0, 450.045)]
    with pytest.raises(OperatorError, match="ramp"):
        WasatchSpectrometer(Ramp()).operate("sample polystyrene")


@pytest.mark.parametrize("number", ["", "x" * 17, "WP-é"])
def test_a_serial_number_has_to_fit_the_memory(number: str):
    with pytest.raises(OperatorError, match="1 to 16 ASCII"):
        WasatchSpectrometer(Ramp(), serial_number=number)


@pytest.mark.parametrize("model", ["wp785", "wp785xs"])
def test_unknown_requests_are_stalled_by_fx2_and_answered_with_ones_by_arm(model: str):
    bench = Bench(model)
    if model == "wp785xs":
        assert bench.ask(0.0, (0x3F, 0)) == 0xFFFF
    else:
        with pytest.raises(Stall):
            bench.ask(0.0, (0x3F, 0))
    with pytest.raises(Stall):
        bench.tell(0.0, 0x3F)
    with pytest.raises(Stall):
        bench.unit.write(0x01, b"", 0.0)
