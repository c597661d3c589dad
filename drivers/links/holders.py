"""Who has a device file: its owner in words, and the processes that hold it open."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from pathlib import Path

RULE_HINT = (
    "install the udev rule, then unplug the instrument and plug it in again: "
    "sudo cp systemd/70-edged.rules /etc/udev/rules.d/ && sudo udevadm control --reload"
)

PROC = Path("/proc")


def owner_of(port: str) -> str:
    """Return owner, group and mode in words, such as "user root, group dialout, mode 0660"."""
    try:
        status = Path(port).stat()
    except OSError:
        return "an unknown user"
    try:
        user = pwd.getpwuid(status.st_uid).pw_name
    except KeyError:
        user = str(status.st_uid)
    return f"user {user}, group {group_of(status.st_gid)}, mode {stat.S_IMODE(status.st_mode):04o}"


def group_of(gid: int) -> str:
    """Return the group's name, or its number where it has none."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def holders_of(port: str, *, proc: Path = PROC) -> list[str]:
    """Return "name (pid N)" for each process that has the port open, as far as we may look. Never raises."""
    try:
        number = Path(port).stat().st_rdev
    except OSError:
        return []
    if not number:  # a file, not a device
        return []
    return sorted(
        f"{_name(process)} (pid {process.name})"
        for process in proc.glob("[0-9]*")
        if process.name != str(os.getpid()) and _holds(process, number)
    )


def _holds(process: Path, number: int) -> bool:
    try:
        files = list((process / "fd").iterdir())
    except OSError:
        return False
    return any(_device_number(file) == number for file in files)


def _device_number(file: Path) -> int:
    try:
        return file.stat().st_rdev
    except OSError:
        return 0


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return "unknown"
