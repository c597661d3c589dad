"""The committed solvents, and what a simulated Raman handheld sees of mixtures of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from drivers import registry
from drivers.contract import ExposureSettings
from drivers.links.serial import SerialLink
from drivers.session import Session
from export.twin.command import twin as export_twin
from firmware_sim.commands.obp import obp
from firmware_sim.contract import OperatorError
from firmware_sim.mixtures import Library, Mixtures

SOLVENTS = Library.named("solvents13")
LASER_NM = 785.0
PIXELS_NM = 1e7 / (1e7 / LASER_NM - np.linspace(260.0, 1_990.0, 1_024))
NAMES = ("Toluene", "Ethanol", "Methanol", "n-Heptane", "1-Butanol")


def seen(scene: Mixtures, *, laser_mw: float = 50.0) -> np.ndarray:
    return scene.light(PIXELS_NM, laser_mw=laser_mw, laser_nm=LASER_NM)


def test_the_library_is_the_published_spectra_each_at_a_strongest_band_of_one(data_dir: Path) -> None:
    """Rows 0 to 12 of the source's own file; its axis, which it does not tell, is inferred."""
    folder = data_dir / "raman_solvent_mixtures_deepraman"
    published = np.load(folder / "Multi_component_mixture_Dataset.npy", allow_pickle=False)[:13, :901].astype(float)

    np.testing.assert_allclose(SOLVENTS.spectra, published / published.max(axis=1, keepdims=True), rtol=1e-6)
    np.testing.assert_array_equal(SOLVENTS.shift_cm1, np.arange(240.0, 2_041.0, 2.0))
    assert (len(SOLVENTS.labels), set(NAMES) <= set(SOLVENTS.labels)) == (13, True)


def test_exporting_the_set_again_gives_the_committed_library(data_dir: Path, tmp_path: Path) -> None:
    words = ["raman-solvents", str(tmp_path / "again.npz"), "--data", str(data_dir), "--json"]
    told = json.loads(CliRunner().invoke(export_twin, words, catch_exceptions=False).output)

    again = Library.load(tmp_path / "again.npz")

    assert (told["liquids"], again.labels) == (13, SOLVENTS.labels)
    np.testing.assert_allclose(again.spectra, SOLVENTS.spectra, rtol=1e-6)


def test_a_mixture_is_the_sum_of_its_liquids_by_their_shares() -> None:
    toluene, ethanol, methanol = (SOLVENTS.spectra[SOLVENTS.labels.index(name)] for name in NAMES[:3])

    np.testing.assert_allclose(SOLVENTS.spectrum_of("Toluene"), toluene)
    np.testing.assert_allclose(
        SOLVENTS.spectrum_of("Toluene 62.5 Ethanol 7.5 Methanol 30"), 0.625 * toluene + 0.075 * ethanol + 0.3 * methanol
    )


def test_of_the_mixtures_to_begin_with_each_holds_sixty_and_forty_percent_and_each_liquid_is_in_two() -> None:
    held = [SOLVENTS.shares_of(product) for product in SOLVENTS.products]

    assert [sorted(shares.values()) for shares in held] == [[0.4, 0.6]] * 13
    assert all(sum(label in shares for shares in held) == 2 for label in SOLVENTS.labels)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Water", "'Water'"),
        ("Toluene 60 Water 40", "'Water'"),
        ("Toluene 60 Ethanol", "'Toluene 60 Ethanol'"),
        ("Toluene 60 Ethanol 50", "make 100"),
        ("Toluene 60 Toluene 40", "once"),
        ("Toluene -10 Ethanol 110", "no sample"),
        ("Toluene nan Ethanol 40", "no sample"),
        ("", "no sample ''"),
    ],
)
def test_a_sample_that_makes_no_sense_is_refused_and_the_former_one_stays(name: str, words: str) -> None:
    scene = Mixtures(SOLVENTS)
    scene.place("Toluene")

    with pytest.raises(OperatorError, match=words):
        scene.place(name)

    assert scene.label == "Toluene"


def test_without_laser_or_sample_it_is_dark_and_light_goes_with_the_power() -> None:
    scene = Mixtures(SOLVENTS, seed=3)

    assert not seen(scene, laser_mw=0.0).any()
    np.testing.assert_allclose(seen(scene, laser_mw=80.0), 2.0 * seen(scene, laser_mw=40.0))
    scene.place("dark")
    assert not seen(scene).any()


def test_fillings_differ_in_light_and_glow_and_in_nothing_else() -> None:
    """Two fillings of one liquid: one is the other, times a factor, plus some of a smooth glow."""
    scene = Mixtures(SOLVENTS, seed=5)
    scene.place("Ethanol")
    first = seen(scene)
    scene.place("Ethanol")
    second = seen(scene)

    glow = np.exp(-(((np.linspace(260.0, 1_990.0, 1_024) - 1_500.0) / 1_500.0) ** 2))
    (factor, more), *_ = np.linalg.lstsq(np.column_stack([first, glow]), second, rcond=None)
    assert abs(factor - 1.0) > 0.01
    assert abs(more) > 0.01 * first.max()
    np.testing.assert_allclose(factor * first + more * glow, second, rtol=1e-9)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--library", "nothing", "--model", "ventana"], "no library 'nothing'; there are solvents13"),
        (["--library", "../twins/powders12", "--model", "ventana"], "no library"),
        (["--library", "solvents13", "--model", "fx"], "a model with a laser"),
        (["--library", "solvents13", "--model", "ventana", "--sample", "ramp"], "not for ramp"),
        (["--library", "solvents13", "--model", "ventana", "--sample", "Water"], "no sample 'Water'"),
    ],
)
def test_a_library_that_cannot_be_shown_is_a_usage_error(options: list[str], words: str) -> None:
    result = CliRunner().invoke(obp, ["--pty", "/tmp/never", *options])

    assert result.exit_code == 2
    assert words in result.output


def test_a_ventana_on_a_serial_port_tells_what_was_under_its_laser(tmp_path: Path, repository: Path) -> None:
    device, port = registry.load("obp"), tmp_path / "ventana"
    settings = ExposureSettings(integration_ms=50.0, laser_mw=50.0, laser_unattended=True)
    words = ["obp", "--pty", str(port), "--model", "ventana", "--library", "solvents13", "--baud", "115200"]
    command = [sys.executable, "-m", "firmware_sim.main", *words, "--speed", "20", "--sample", "Toluene 60 Ethanol 40"]
    with subprocess.Popen(command, cwd=repository, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert json.loads(process.stdout.readline())["event"] == "ready"
        with Session(SerialLink.open(str(port))) as session:
            unit = session.perform(device.open())
            session.perform(device.configure(unit, settings))
            scan = session.perform(device.scan(unit, settings))
            session.perform(device.close())
        process.stdin.write("quit\n")
        process.stdin.flush()
        events = [json.loads(line) for line in process.stdout]
        assert process.wait(10) == 0

    assert scan.dark is not None
    light = scan.counts - scan.dark.mean(axis=0)
    assert 1e7 / LASER_NM - 1e7 / scan.axis[np.argmax(light)] == pytest.approx(1_004.0, abs=4.0)  # of toluene
    assert {event["sample"] for event in events if event["event"] == "scan"} == {"Toluene 60 Ethanol 40"}
    assert [event["on"] for event in events if event["event"] == "laser"] == [True, False]
