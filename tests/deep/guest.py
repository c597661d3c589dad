"""A machine for 64-bit ARM under QEMU's own processor, with a true kernel: udev, usbfs, hidraw and cgroup rules.

Simulated instruments are its USB devices, by usbredir. A program of the test is its service, spoken to over a virtual
serial port. A boot writes to nothing that stays.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.deep.container import eventually
from tests.deep.guest_image import archive, image

REPOSITORY = Path(__file__).resolve().parents[2]

ANSWER_S = 120.0  # a processor that is emulated, on a machine that others use too
BOOT_S = 180.0
SERVICE = """[Service]
Type=exec
WatchdogSec=0
Restart=no
ExecStart=
ExecStart=/usr/bin/python3 -u /opt/edged/guest_program.py
Environment=PYTHONPATH=/opt/edged:/opt/site
DeviceAllow=/dev/virtio-ports/edged rw
StandardInput=file:/dev/virtio-ports/edged
StandardOutput=file:/dev/virtio-ports/edged
"""
START = 'SUBSYSTEM=="virtio-ports", ATTR{name}=="edged", TAG+="systemd", ENV{SYSTEMD_WANTS}+="edged.service"\n'
INSTALLED = {  # as docs/install.md does
    "70-edged.rules": "etc/udev/rules.d/70-edged.rules",
    "edged.sysusers.conf": "usr/lib/sysusers.d/edged.conf",
    "edged.tmpfiles.conf": "usr/lib/tmpfiles.d/edged.conf",
    "edged.service": "etc/systemd/system/edged.service",
}

Said = dict[str, Any]


class Guest:
    """The running machine, and the program that is its service."""

    def __init__(self, port: socket.socket, console: Path) -> None:
        self._port = port
        self._console = console
        self._heard = b""

    def ask(self, line: str, within_s: float = ANSWER_S) -> Said:
        """Say a line and return the answer."""
        self.say(line)
        return self.hear(within_s)

    def say(self, line: str) -> None:
        """Say a line."""
        self._port.sendall(line.encode() + b"\n")

    def hear(self, within_s: float = ANSWER_S) -> Said:
        """Return the next thing it says. Fails with the console's text when nothing comes in time."""
        deadline_s = time.monotonic() + within_s
        while b"\n" not in self._heard:
            self._port.settimeout(max(0.001, deadline_s - time.monotonic()))
            try:
                data = self._port.recv(65536)
            except TimeoutError:
                data = b""
            assert data, f"the guest says nothing in {within_s:g} s; its console: {self.console[-3000:]}"
            self._heard += data
        line, self._heard = self._heard.split(b"\n", 1)
        said: Said = json.loads(line)
        return said

    @property
    def console(self) -> str:
        """What it printed."""
        return self._console.read_text(errors="replace")


class Instrument:
    """A simulated instrument as a process; leaving the block kills it without a word. `events` is what it said."""

    def __init__(self, kind: str, serial_number: str, address: object) -> None:
        self.serial_number = serial_number
        self.events: list[Said] = []
        command = [sys.executable, "-m", "tests.deep.guest_instrument", kind, serial_number, str(address)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
        )
        self._reader = threading.Thread(target=self._read, name="instrument")
        self._reader.start()
        eventually(lambda: self.said("ready"), 30, f"{self.serial_number} is ready")

    def tell(self, line: str) -> None:
        """Say something to it as its operator."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def said(self, event: str) -> list[Said]:
        """Return the events of this name."""
        return [each for each in list(self.events) if each["event"] == event]

    def __enter__(self) -> Instrument:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.events.append(json.loads(line))


def payload(folder: Path) -> Path:
    """Lay out what a test brings into the machine: our drivers, and the unit and rules as they are installed."""
    for name, place in INSTALLED.items():
        _put(folder / place, (REPOSITORY / "systemd" / name).read_text())
    _put(folder / "etc/systemd/system/edged.service.d/guest.conf", SERVICE)
    _put(folder / "etc/udev/rules.d/90-guest.rules", START)
    _put(folder / "opt/edged/guest_program.py", (REPOSITORY / "tests/deep/guest_program.py").read_text())
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPOSITORY / "drivers", folder / "opt/edged/drivers", ignore=ignore)
    return folder


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@contextmanager
def booted(sockets: Iterable[Path], *, serial_at: int) -> Iterator[Guest]:
    """Boot, with a cable to each of these sockets, whether or not an instrument is there yet; wait for the service.

    serial_at: port of 127.0.0.1 where an instrument behind a serial adapter (FTDI) may be.
    """
    made = image()
    with tempfile.TemporaryDirectory(prefix="guest-") as folder:
        initrd, talk, console = Path(folder) / "initrd", Path(folder) / "talk", Path(folder) / "console"
        payload(Path(folder) / "over/payload")
        initrd.write_bytes((made / "initrd").read_bytes() + archive(Path(folder) / "over"))
        command = ["qemu-system-aarch64", "-M", "virt,gic-version=3", "-cpu", "cortex-a72", "-smp", "2", "-m", "768"]
        command += ["-accel", "tcg,thread=multi,tb-size=256", "-nographic", "-no-reboot", "-nic", "none"]
        command += [
            "-monitor",
            "none",
            "-serial",
            f"file:{console}",
            "-kernel",
            f"{made}/kernel",
            "-initrd",
            str(initrd),
        ]
        command += ["-append", "console=ttyAMA0 rw panic=-1 systemd.journald.forward_to_console=1"]
        command += ["-drive", f"file={made}/root,format=raw,if=none,id=disk,snapshot=on"]
        command += ["-device", "virtio-blk-pci,drive=disk", "-device", "virtio-rng-pci"]
        command += ["-chardev", f"socket,id=talk,path={talk},server=on,wait=off", "-device", "virtio-serial-pci"]
        command += ["-device", "virtserialport,chardev=talk,name=edged", "-device", "qemu-xhci"]
        for number, path in enumerate(sockets):
            command += ["-chardev", f"socket,id=c{number},path={path},reconnect=1"]
            command += ["-device", f"usb-redir,chardev=c{number}"]
        command += ["-chardev", f"socket,id=serial,host=127.0.0.1,port={serial_at},reconnect=1"]
        command += ["-device", "usb-serial,chardev=serial"]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, "TMPDIR": folder},
        )
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as port:
                _connect(port, talk, process)
                guest = Guest(port, console)
                assert "began_s" in guest.hear(BOOT_S)
                yield guest
        finally:
            process.kill()
            process.communicate()


def _connect(port: socket.socket, path: Path, process: subprocess.Popen[bytes]) -> None:
    deadline_s = time.monotonic() + 20
    while True:
        with contextlib.suppress(OSError):
            port.connect(str(path))
            return
        assert process.poll() is None, process.communicate()[1].decode()
        assert time.monotonic() < deadline_s, "QEMU does not open its port"
        time.sleep(0.05)
