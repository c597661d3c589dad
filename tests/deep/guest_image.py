"""The image of a small Debian for 64-bit ARM: kernel, what mounts the root file system, and the root file system.

No foreign program runs to make it, so neither binfmt_misc nor an emulator of programs is needed: the packages are
unpacked, and what their scripts would do for this purpose is done here. Made once, and kept in the user's cache.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from tests.deep.container import cache, lacking, made_once, run, suite_and_sources

TOOLS = {
    "qemu-system-aarch64": "qemu-system-arm",
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "depmod": "kmod",
    "cpio": "cpio",
}
PACKAGES = (
    # what every Debian has
    *("base-files", "base-passwd", "bash", "coreutils", "dash", "findutils", "grep", "libc-bin", "login", "mount"),
    *("passwd", "procps", "sed", "util-linux"),
    # what a board with edged has
    *("kmod", "libstdc++6", "libusb-1.0-0", "python3", "systemd-sysv", "udev"),
    *("linux-image-arm64", "busybox-static"),
)
WHEELS = ("numpy>=2.0,<3", "pyserial==3.5", "pyusb>=1.2")
FIRST_DRIVERS = ("virtio_pci", "virtio_blk", "crc32c_generic", "ext4")  # what the root file system needs
DRIVERS = (*FIRST_DRIVERS, "virtio_console", "virtio_rng", "xhci_pci", "usbhid", "hid_generic", "ftdi_sio", "cdc_acm")
NEEDLESS_UNITS = (
    *("systemd-hwdb-update", "systemd-journal-catalog-update", "systemd-update-utmp", "systemd-timesyncd"),
    *("systemd-pstore", "systemd-machine-id-commit", "systemd-firstboot", "systemd-random-seed"),
    "systemd-journal-flush",
)
SITE = "opt/site"
FREE_BYTES = 200 << 20

INIT = """#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t proc proc /proc
while read file; do /bin/busybox insmod /modules/$file; done < /modules/order
until [ -b /dev/vda ]; do /bin/busybox sleep 0.1; done
/bin/busybox mount -t ext4 /dev/vda /new
/bin/busybox cp -a /payload/. /new/
/bin/busybox chroot /new /sbin/ldconfig
/bin/busybox umount /proc
exec /bin/busybox switch_root /new /sbin/init
"""


def what_is_missing() -> str:
    """Why no machine can be made here, or nothing."""
    return lacking(TOOLS)


def image() -> Path:
    """Return the folder of `kernel`, `initrd` and `root`, an ext4 file system."""
    recipe = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]
    folder = cache() / f"guest-arm64-{recipe}"
    with made_once(folder) as unfinished:
        if unfinished is not None:
            for former in cache().glob("guest-arm64-*"):
                if former.is_dir() and former != unfinished:
                    shutil.rmtree(former)
                elif former.suffix == ".lock" and former.stem != folder.name:
                    former.unlink()
            _make(unfinished)
    return folder


def _make(folder: Path) -> None:
    tree = folder / "tree"
    _unpack(tree)
    (module_folder,) = (tree / "usr/lib/modules").iterdir()
    release = module_folder.name
    shutil.move(tree / f"boot/vmlinuz-{release}", folder / "kernel")
    _initrd(folder, tree, release)
    _keep_modules(tree, release)
    _finish(tree)
    python = (tree / "usr/bin/python3").readlink().name.removeprefix("python")
    _install_wheels(tree / SITE, python)
    if python == f"{sys.version_info.major}.{sys.version_info.minor}":  # else it starts a few seconds later
        for library in (f"usr/lib/python{python}", SITE):
            words = ["-m", "compileall", "-q", "-j", "2", "--invalidation-mode", "unchecked-hash", "-s", str(tree)]
            subprocess.run([sys.executable, *words, tree / library], check=False, capture_output=True)
    used = sum(path.lstat().st_size for path in tree.rglob("*") if not path.is_symlink())
    size = f"{(int(used * 1.15) + FREE_BYTES) >> 10}K"
    run(
        "mke2fs",
        "-q",
        "-t",
        "ext4",
        "-E",
        "lazy_itable_init=0",
        "-O",
        "^has_journal",
        "-d",
        tree,
        folder / "root",
        size,
    )
    shutil.rmtree(tree)


def _unpack(tree: Path) -> None:
    exclude = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("man", "doc", "locale", "zoneinfo")]
    merged = 'for name in bin sbin lib; do mkdir -p "$1/usr/$name"; ln -s "usr/$name" "$1/$name"; done'
    command = ["mmdebstrap", "--quiet", "--architectures=arm64", "--variant=extract", "--mode=root"]
    command += ["--format=directory", f"--include={','.join(PACKAGES)}", *exclude, f"--setup-hook={merged}"]
    suite, sources = suite_and_sources()
    run(*command, "--aptopt=Acquire::Languages none", suite, tree, *sources)


def _keep_modules(tree: Path, release: str) -> None:
    """Leave the drivers that are needed, with those that they need."""
    modules = tree / "usr/lib/modules" / release
    wanted = set(_dependencies(tree, release, DRIVERS))
    for module in modules.rglob("*.ko"):
        if module not in wanted:
            module.unlink()
    run("depmod", "-b", tree, release)


def _dependencies(tree: Path, release: str, names: Sequence[str]) -> list[Path]:
    """Return the files of these modules and of all they need, in the order in which they can be loaded."""
    modules = tree / "usr/lib/modules" / release
    if not (modules / "modules.dep").exists():
        run("depmod", "-b", tree, release)
    needs = {}
    for line in (modules / "modules.dep").read_text().splitlines():
        path, _, others = line.partition(":")
        needs[Path(path).stem.replace("-", "_")] = [path, *others.split()]
    found: dict[Path, None] = {}
    for name in names:
        for path in reversed(needs[name]):
            found[modules / path] = None
    return list(found)


def _initrd(folder: Path, tree: Path, release: str) -> None:
    """Make what mounts the root file system, adds what a test brings, and goes on there."""
    root = folder / "initrd.d"
    for name in ("bin", "dev", "proc", "new", "modules", "payload"):
        (root / name).mkdir(parents=True)
    shutil.copy2(tree / "bin/busybox", root / "bin/busybox")
    files = _dependencies(tree, release, FIRST_DRIVERS)
    for path in files:
        shutil.copy2(path, root / "modules" / path.name)
    (root / "modules/order").write_text("".join(f"{path.name}\n" for path in files))
    (root / "init").write_text(INIT)
    (root / "init").chmod(0o755)
    (folder / "initrd").write_bytes(archive(root))
    shutil.rmtree(root)


def _finish(tree: Path) -> None:
    """Do what the scripts of the packages would, as far as it matters here."""
    for name in ("passwd", "group"):
        shutil.copy(tree / f"usr/share/base-passwd/{name}.master", tree / f"etc/{name}")
    for name in ("shadow", "gshadow"):
        (tree / f"etc/{name}").touch(mode=0o600)
    (tree / "etc/machine-id").write_text(hashlib.md5(b"edged guest", usedforsecurity=False).hexdigest() + "\n")
    (tree / "etc/hostname").write_text("guest\n")
    (tree / "etc/fstab").write_text("")
    units = tree / "etc/systemd/system"
    for unit in NEEDLESS_UNITS:
        (units / f"{unit}.service").symlink_to("/dev/null")
    (units / "default.target").symlink_to("/usr/lib/systemd/system/basic.target")


def _install_wheels(site: Path, python: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "-q", "--only-binary=:all:", "--python-version", python]
        run(*command, "--platform=manylinux_2_28_aarch64", "--platform=manylinux2014_aarch64", "-d", folder, *WHEELS)
        for wheel in sorted(Path(folder).glob("*.whl")):
            with zipfile.ZipFile(wheel) as content:
                content.extractall(site, [name for name in content.namelist() if "/tests/" not in name])


def archive(root: Path) -> bytes:
    """Return a folder as the kernel unpacks it at boot."""
    names = "\0".join(str(path.relative_to(root)) for path in sorted(root.rglob("*"))) + "\0"
    command = ["cpio", "--quiet", "--null", "-o", "-H", "newc", "-R", "0:0"]
    return subprocess.run(command, input=names.encode(), cwd=root, capture_output=True, check=True).stdout
