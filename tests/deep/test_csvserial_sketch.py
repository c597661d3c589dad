"""The Arduino sketch of docs/csv-over-serial.md, compiled for this machine and measured with through a terminal."""

from __future__ import annotations

import os
import shutil
import subprocess
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers import registry
from drivers.contract import ExposureSettings
from drivers.links.serial import SerialLink
from drivers.session import Session

pytestmark = pytest.mark.deep

COMPILER = shutil.which("g++")
ARDUINO = """
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <poll.h>
#include <unistd.h>
typedef unsigned char byte;
enum { LOW, HIGH, OUTPUT, A0 };
static int lamp = LOW, pixel = 0;
void pinMode(int, int) {}
void digitalWrite(int, int level) { lamp = level; }
int analogRead(int) { int p = pixel++ % 288; return (p == 287 && lamp ? 1023 : 90 + (lamp ? 3 * p : p % 7)); }
struct {
  void begin(long) {}
  int available() { struct pollfd input = {0, POLLIN, 0}; return poll(&input, 1, 100) > 0; }
  int read() { char c; if (::read(0, &c, 1) != 1) exit(0); return c; }
  void print(const char* text) { if (::write(1, text, strlen(text)) < 0) exit(0); }
  void println(const char* text) { print(text); print("\\r\\n"); }
} Serial;
#line 1 "sketch"
"""
MAIN = "\nint main() { setup(); for (;;) loop(); }\n"


@pytest.fixture
def sketch(tmp_path: Path, repository: Path) -> Path:
    """The program, made of the document."""
    if COMPILER is None:
        pytest.skip("g++ is not installed (apt-get install g++)")
    text = (repository / "docs" / "csv-over-serial.md").read_text(encoding="utf-8")
    source = text.split("```cpp\n")[1].split("```")[0]
    (tmp_path / "sketch.cpp").write_text(ARDUINO + source + MAIN, encoding="utf-8")
    command = [COMPILER, "-std=c++11", "-Wall", "-Werror", "-o", str(tmp_path / "sketch"), str(tmp_path / "sketch.cpp")]
    subprocess.run(command, check=True, timeout=120)
    return tmp_path / "sketch"


@pytest.fixture
def port(sketch: Path) -> Iterator[str]:
    """The sketch behind a terminal."""
    near, far = os.openpty()
    tty.setraw(far)
    process = subprocess.Popen([str(sketch)], stdin=near, stdout=near)
    try:
        yield os.ttyname(far)
    finally:
        process.kill()
        process.wait()
        os.close(near)
        os.close(far)


def test_the_sketch_in_the_document_is_an_instrument(port: str):
    device, settings = registry.load("csvserial"), ExposureSettings(integration_ms=20, repeats=2)
    session = Session(SerialLink.open(port))
    unit = session.perform(device.open())
    session.perform(device.configure(unit, settings))
    scan = session.perform(device.scan(unit, settings))
    session.perform(device.environment(unit))
    session.perform(device.close())
    session.close()

    assert (unit.identity.model, unit.identity.serial_number, unit.notes) == ("C12880MA on a Nano", "0042", ())
    assert scan.raw.tolist() == [[*(90 + 3 * p for p in range(287)), 1023]] * 2  # the lamp was on
    assert scan.saturated.tolist() == [False] * 287 + [True]
    assert (scan.scan_index, len(scan.axis)) == (3, 288)
