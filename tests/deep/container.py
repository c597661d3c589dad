"""A Debian with a real systemd as PID 1, in a container, for tests that need a whole machine.

Needs root, systemd-container and mmdebstrap. The tree is made once and kept in the user's cache; a run writes to memory
only, has no network but its own loopback, and is gone afterwards.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

PACKAGES = "systemd,systemd-sysv,udev,dbus,python3,python3-venv,mosquitto,mosquitto-clients,ca-certificates"
TOOLS = {"mmdebstrap": "mmdebstrap", "systemd-nspawn": "systemd-container", "nsenter": "util-linux"}  # and packages
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def what_is_missing() -> str:
    """Why no container can be started here, or nothing."""
    return lacking(TOOLS)


def lacking(tools: Mapping[str, str]) -> str:
    """Why a Debian cannot be unpacked and used with these tools here, or nothing. tools: program -> its package."""
    if os.geteuid() != 0:
        return "to unpack a Debian needs root"
    places = f"{os.environ['PATH']}:{PATH}"
    absent = [package for tool, package in tools.items() if shutil.which(tool, path=places) is None]
    return f"not installed: apt-get install {' '.join(absent)}" if absent else ""


def run(*command: object) -> None:
    """Run a program of the host's; fail with what it said where it does."""
    words = [str(word) for word in command]
    done = subprocess.run(
        words, capture_output=True, text=True, env={**os.environ, "PATH": f"{os.environ['PATH']}:{PATH}"}
    )
    assert done.returncode == 0, f"{' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}"


def cache() -> Path:
    """Where trees and downloaded packages are kept between runs."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edged-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def made_once(target: Path) -> Iterator[Path | None]:
    """Give a folder to fill, which becomes `target` when the block ends well; None if it was made before."""
    with target.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.exists():
            yield None
            return
        unfinished = target.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        yield unfinished
        unfinished.rename(target)


def suite_and_sources() -> tuple[str, list[Path]]:
    """Return this Debian's own release, and the file of this machine's own package sources if it has one."""
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    suite = release.get("VERSION_CODENAME", "bookworm") if release.get("ID") == "debian" else "bookworm"
    files = map(Path, ("/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"))
    return suite, [path for path in files if path.exists()][:1]


def debian_tree() -> Path:
    """Return the tree of this Debian's own release."""
    suite, sources = suite_and_sources()
    fingerprint = hashlib.sha256(f"{suite} {PACKAGES}".encode()).hexdigest()[:8]
    tree = cache() / f"{suite}-{fingerprint}"
    with made_once(tree) as folder:
        if folder is not None:
            exclude = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("man", "doc", "locale")]
            command = ["mmdebstrap", "--quiet", "--variant=minbase", "--mode=root", "--format=directory"]
            command += [f"--include={PACKAGES}", *exclude, "--aptopt=Acquire::Languages none"]
            subprocess.run([*command, suite, folder, *sources], check=True, timeout=900)
    return tree


def wheels(tree: Path, *requirements: str) -> Path:
    """Return a folder of wheels of these and all they need, for the Python of the tree."""
    version = (tree / "usr/bin/python3").readlink().name.removeprefix("python")
    fingerprint = hashlib.sha256(" ".join((version, *requirements)).encode()).hexdigest()[:8]
    with made_once(cache() / f"wheels-{fingerprint}") as folder:
        if folder is not None:
            command = [
                sys.executable,
                "-m",
                "pip",
                "download",
                "-q",
                "--only-binary=:all:",
                "--python-version",
                version,
            ]
            subprocess.run([*command, "-d", folder, *requirements], check=True, timeout=900)
    return cache() / f"wheels-{fingerprint}"


def eventually(look: Callable[[], T], within_s: float, what: str) -> T:
    """Return the first truthy result of looking again and again; fail with `what` when the time is over."""
    deadline = time.monotonic() + within_s
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        time.sleep(0.05)
    return found


class Machine:
    """The running container. Commands run in it as root, with nothing of the host's environment."""

    def __init__(self, leader: int) -> None:
        self.leader = leader

    def enter(self, *command: str) -> list[str]:
        """Return the command that runs another one inside."""
        inside = ["nsenter", "-t", str(self.leader), "-m", "-u", "-i", "-n", "-p"]
        return [*inside, "--", "env", "-i", f"PATH={PATH}", "LANG=C.UTF-8", "HOME=/root", *command]

    def try_run(self, *command: str, within_s: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a command and return how it ended."""
        return subprocess.run(
            self.enter(*command),
            capture_output=True,
            text=True,
            timeout=within_s,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def run(self, *command: str, within_s: float = 60) -> str:
        """Run a command that has to succeed and return its output."""
        done = self.try_run(*command, within_s=within_s)
        assert done.returncode == 0, f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def write(self, path: str, text: str) -> None:
        """Write a file inside."""
        subprocess.run(self.enter("sh", "-c", 'cat > "$0"', path), input=text, text=True, check=True, timeout=30)

    def thread(self, pid: str, name: str) -> int:
        """Return the host's number of a thread, by its process's number inside and its name."""
        namespace = Path(f"/proc/{self.leader}/ns/pid").readlink()
        for process in Path("/proc").glob("[0-9]*"):
            try:
                inside = re.search(r"^NSpid:.*\t(\d+)$", (process / "status").read_text(), re.MULTILINE)
                if inside is None or inside[1] != pid or (process / "ns/pid").readlink() != namespace:
                    continue
                threads = {(task / "comm").read_text().strip(): int(task.name) for task in (process / "task").iterdir()}
            except OSError:  # ended while we looked
                continue
            assert name in threads, f"threads of {pid}: {sorted(threads)}"
            return threads[name]
        raise AssertionError(f"no process {pid} in the container")

    def properties(self, unit: str, *names: str) -> Mapping[str, str]:
        """Return what systemd says of a unit."""
        shown = self.run("systemctl", "show", unit, f"--property={','.join(names)}")
        return dict(line.split("=", 1) for line in shown.splitlines())

    def journal(self, unit: str) -> str:
        """Return what a unit has logged, and systemd about it."""
        return self.run("journalctl", "-u", unit, "-o", "cat", "--no-pager")


@contextmanager
def booted(tree: Path, *, read_only: Mapping[Path, str]) -> Iterator[Machine]:
    """Boot the tree with host folders bound in (host path -> path inside), and power it off in the end."""
    command = ["systemd-nspawn", "-q", "-D", str(tree), "--volatile=overlay", "-b", "--register=no", "--keep-unit"]
    command += ["--private-network", "--console=pipe", f"--machine=edged-test-{os.getpid()}"]
    command += [f"--bind-ro={outside}:{inside}" for outside, inside in read_only.items()]
    environment = {**os.environ, "SYSTEMD_SECCOMP": "0"}  # nspawn's own filter; those of the units inside are in force
    supervisor = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, text=True
    )
    try:
        children = Path(f"/proc/{supervisor.pid}/task/{supervisor.pid}/children")
        leader = eventually(
            lambda: supervisor.poll() is None and children.read_text().split(), 20, "the container's PID 1"
        )
        assert leader, supervisor.communicate()[0]
        machine = Machine(int(leader[0]))
        up = ("systemctl", "is-active", "--quiet", "multi-user.target")
        eventually(lambda: machine.try_run(*up).returncode == 0, 60, "the container is up")
        machine.write("/etc/hosts", "127.0.0.1 localhost\n")  # the installer of a real Debian does
        yield machine
        machine.try_run("systemctl", "poweroff")
        supervisor.wait(30)
    finally:
        supervisor.kill()
        supervisor.communicate()
