"""The daemon, its instrument and its broker as real processes, through good and bad days."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.broker import Broker
from tests.deep.freeze import frozen
from tests.flow.plant import Handheld, Plant, eventually, manager_socket, station
from tests.subscriber import Subscriber

MEASURE = {"do": "measure", "station": "bench"}
REFERENCE = {"do": "reference", "station": "bench"}


@pytest.fixture
def handheld(tmp_path: Path) -> Iterator[Handheld]:
    with Handheld(tmp_path / "nirscan") as handheld:
        yield handheld


@pytest.fixture
def plant(tmp_path: Path, handheld: Handheld) -> Iterator[Plant]:
    with Plant(tmp_path, stations=station(handheld.port)) as plant:
        plant.until_state("ready")
        yield plant


def in_thread(plant: Plant, request: dict[str, Any]) -> tuple[threading.Thread, list[dict[str, Any]]]:
    answers: list[dict[str, Any]] = []
    thread = threading.Thread(target=lambda: answers.append(plant.ask(request)))
    thread.start()
    return thread, answers


def test_a_measurement_after_a_white_reference_gives_a_verdict_that_is_on_disk(
    plant: Plant, handheld: Handheld
) -> None:
    handheld.tell("white")
    white = plant.ask(REFERENCE)["result"]
    handheld.tell("sample 100AC")

    record = plant.ask(MEASURE | {"operator": "kl", "lot": "A1"})["result"]

    scan = handheld.said("scan")[-1]
    assert (record["reading"]["scan_index"], scan["sample"]) == (scan["scan_index"], "100AC")
    assert record["instrument"]["serial_number"] == "6100023"
    assert record["reference"]["id"] == white["id"]
    assert record["reference"]["state"] == "fresh"
    assert record["verdict"]["outcome"] in {"identified", "inconclusive", "not_in_scope"}
    assert (record["operator"], record["lot"]) == ("kl", "A1")
    assert plant.records() == [white, record]


def test_a_measurement_without_a_white_reference_is_rejected_with_that_reason(plant: Plant, handheld: Handheld) -> None:
    handheld.tell("sample 100AC")

    verdict = plant.ask(MEASURE)["result"]["verdict"]

    assert verdict["outcome"] == "rejected"
    assert [reason["code"] for reason in verdict["reasons"]] == ["reference_missing"]


def test_a_dark_tile_is_refused_as_white_reference_and_leaves_no_record(plant: Plant, handheld: Handheld) -> None:
    handheld.tell("sample dark")

    answer = plant.ask(REFERENCE)

    assert answer["error"]["code"] == "unfit_reference"
    assert plant.records() == []


def test_a_white_reference_is_found_again_after_a_restart(plant: Plant, handheld: Handheld) -> None:
    handheld.tell("white")
    white = plant.ask(REFERENCE)["result"]
    assert plant.stop()[0] == 0
    handheld.tell("sample 100AC")

    plant.start().until_state("ready")
    record = plant.ask(MEASURE)["result"]

    assert record["reference"]["id"] == white["id"]
    assert record["verdict"]["outcome"] != "rejected"


def test_a_scan_cut_off_by_a_hang_up_leaves_no_record_and_the_station_is_ready_within_3_s_of_its_return(
    plant: Plant, handheld: Handheld
) -> None:
    handheld.tell("faults delay=1:1.0")
    asking, answers = in_thread(plant, MEASURE)
    plant.until_state("measuring")

    handheld.tell("hangup 1.0")
    asking.join(30)
    eventually(lambda: True if not handheld.port.exists() else None, "the port is gone")
    eventually(lambda: True if handheld.port.exists() else None, "the port is back")
    back_s = time.monotonic()
    handheld.tell("faults")
    plant.until_state("ready")

    assert time.monotonic() - back_s < 3.0
    assert answers[0]["error"]["code"] == "measurement_lost"
    assert plant.records() == []


def test_a_loss_while_idle_is_noticed_and_mended_within_3_s(plant: Plant, handheld: Handheld) -> None:
    handheld.tell("hangup 0")
    began_s = time.monotonic()

    eventually(lambda: True if "is back" in plant.log else None, "the station came back")
    plant.until_state("ready")

    assert time.monotonic() - began_s < 3.0


def test_another_instrument_than_the_configured_one_parks_the_station_with_a_hint(
    tmp_path: Path, handheld: Handheld
) -> None:
    with Plant(tmp_path, stations=station(handheld.port, serial_number='"6100099"')) as plant:
        parked = plant.until_state("parked")

        assert "6100023" in parked["message"]
        assert "6100099" in parked["hint"]
        assert plant.ask(MEASURE)["error"]["code"] == "not_ready"
        assert plant.ask({"do": "status"})["result"]["state"] == "unwell"


def test_a_port_that_does_not_exist_is_an_absent_instrument_and_no_obstacle(tmp_path: Path) -> None:
    with Plant(tmp_path, stations=station(tmp_path / "none")) as plant:
        absent = plant.until_state("absent")

        assert "no such port" in absent["message"]
        assert plant.stop()[0] == 0


def test_a_port_that_is_no_serial_port_parks_the_station(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("this is a text file")
    with Plant(tmp_path, stations=station(tmp_path / "file")) as plant:
        assert "not a serial port" in plant.until_state("parked")["message"]


def test_a_port_that_belongs_to_someone_else_parks_the_second_and_leaves_the_first_alone(
    plant: Plant, handheld: Handheld, tmp_path: Path
) -> None:
    with Plant(tmp_path / "second", stations=station(handheld.port)) as second:
        parked = second.until_state("parked")

    assert "in use by" in parked["message"]
    assert plant.station()["state"] == "ready"


def test_an_interval_measures_by_itself_and_a_human_is_served_in_between(tmp_path: Path, handheld: Handheld) -> None:
    table = station(handheld.port, trigger='"interval"', interval_s="1")
    with Plant(tmp_path, stations=table) as plant:
        plant.until_state("ready")
        human = plant.ask(MEASURE | {"note": "by hand"})["result"]
        eventually(lambda: True if len(plant.records()) >= 4 else None, "three more by themselves")

        notes = [record["note"] for record in plant.records()]

    assert notes.count("by hand") == 1
    assert human["seq"] in {1, 2}


def test_a_sigterm_in_the_middle_of_a_scan_ends_with_status_0_within_5_s_and_the_light_off(
    tmp_path: Path,
) -> None:
    with Handheld(tmp_path / "nirscan", speed=1.0) as handheld:
        plant = Plant(tmp_path, stations=station(handheld.port)).start()
        plant.until_state("ready")
        asking, answers = in_thread(plant, MEASURE)
        plant.until_state("measuring")

        status, took_s = plant.stop(signal.SIGTERM)
        asking.join(30)

    assert status == 0
    assert took_s < 5.0
    assert answers[0]["error"]["code"] in {"not_ready", "stopping"}
    assert plant.records() == []


def test_systemd_hears_that_the_daemon_is_ready_alive_and_stopping(tmp_path: Path) -> None:
    with manager_socket(tmp_path) as (path, fetch):
        plant = Plant(tmp_path).start(NOTIFY_SOCKET=path, WATCHDOG_USEC="600000")
        heard: list[str] = []

        def hear(word: str) -> bool | None:
            heard.extend(fetch())
            return True if word in heard else None

        eventually(lambda: hear("READY=1"), "READY")
        eventually(lambda: hear("WATCHDOG=1"), "WATCHDOG")
        with plant:
            pass
        heard += fetch()

        assert "STOPPING=1" in heard


@pytest.mark.parametrize("name", ["store", "infer", "st-bench"])
def test_a_thread_that_hangs_silences_the_watchdog_and_a_thread_that_lives_again_feeds_it(
    name: str, tmp_path: Path
) -> None:
    with (
        manager_socket(tmp_path) as (path, fetch),
        Plant(tmp_path, stations=station(tmp_path / "none")).start(NOTIFY_SOCKET=path, WATCHDOG_USEC="600000") as plant,
    ):
        eventually(lambda: plant.ask({"do": "status"})["result"]["bundle"]["name"], "no thread is busy with the model")
        with hanging(plant, name):
            eventually(lambda: True if name in silent_threads(plant) else None, "it is noticed")
            fetch()
            assert "do not answer, the watchdog is not fed" in plant.log
            assert quiet(fetch)

        eventually(lambda: True if "WATCHDOG=1" in fetch() else None, "a sign of life")


@contextlib.contextmanager
def hanging(plant: Plant, name: str) -> Iterator[None]:
    """Stop one thread where it waits. Caught holding the interpreter's lock it would stop all: then once more."""
    while True:
        with frozen(thread_id(plant.pid, name)):
            try:
                plant.ask({"do": "status"}, within_s=3.0)
            except TimeoutError:
                continue
            yield
            return


def thread_id(pid: int, name: str) -> int:
    """The system's number of a thread that names itself."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return next(int(task.name) for task in tasks if (task / "comm").read_text().strip() == name)


def silent_threads(plant: Plant) -> list[str]:
    """Those that health says do not answer; on a loaded machine another one may be late as well."""
    first = next(iter(plant.ask({"do": "status"})["result"]["warnings"]), {"code": "", "detail": ""})
    return first["detail"].split(", ") if first["code"] == "thread_hangs" else []


def quiet(fetch: Callable[[], list[str]]) -> bool:
    """No sign of life for as long as the watchdog waits, which is three of them."""
    deadline_s = time.monotonic() + 0.6
    while time.monotonic() < deadline_s:
        if "WATCHDOG=1" in fetch():
            return False
        time.sleep(0.02)
    return True


def test_results_reach_the_broker_and_commands_come_back_answered(tmp_path: Path, handheld: Handheld) -> None:
    with (
        Broker(tmp_path / "broker") as broker,
        Subscriber(broker.port, "edged/v1/lab/board/#") as subscriber,
        Plant(tmp_path, stations=station(handheld.port), mqtt=f'host = "127.0.0.1"\nport = {broker.port}') as plant,
    ):
        plant.until_state("ready")
        subscriber.wait_for(lambda heard: any(m.topic.endswith("/status") for m in heard))
        subscriber.publish("edged/v1/lab/board/cmd/reference", b'{"station":"bench","request_id":"1"}')
        subscriber.wait_for(lambda heard: any(m.topic.endswith("cmd/reference/reply") for m in heard))
        subscriber.publish("edged/v1/lab/board/cmd/measure", b'{"station":"bench","request_id":"2","lot":"Z"}')
        heard = subscriber.wait_for(
            lambda heard: sum(m.topic.split("/")[4] in {"result", "reference"} for m in heard) == 2
        )
        plant.stop()
        last = subscriber.wait_for(
            lambda heard: any(m.topic.endswith("board/status") and m.json["state"] == "offline" for m in heard)
        )

    delivered = [m.json for m in heard if m.topic.split("/")[4] in {"result", "reference"}]
    assert delivered == plant.records()
    assert delivered[1]["lot"] == "Z"
    assert [m.json["reason"] for m in last if m.topic.endswith("board/status")][-1] == "stopped"
