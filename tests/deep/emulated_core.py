"""Python and onnxruntime of 64-bit ARM, run by QEMU one program at a time, on the core that a test names.

Needs no kernel of its own, hence none of what `guest` boots: only processors differ. The tree is made once and kept in
the user's cache; no foreign program runs to make it.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from importlib.metadata import version
from pathlib import Path

from tests.deep.container import cache, lacking, made_once, run, suite_and_sources

TOOLS = {"qemu-aarch64": "qemu-user", "mmdebstrap": "mmdebstrap"}
PACKAGES = ("libstdc++6", "python3")
WHEELS = ("numpy", "onnxruntime")  # of the versions that the test itself runs
PLATFORMS = [*(f"manylinux_2_{minor}_aarch64" for minor in (17, 26, 27, 28)), "manylinux2014_aarch64"]
SITE = "opt/site"
FEATURES = "fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid"
DOT_PRODUCTS = f"{FEATURES} atomics fphp asimdhp asimdrdm lrcpc dcpop asimddp"
CORES = {  # QEMU's name -> part number, and features as Linux names them
    "cortex-a53": (0xD03, FEATURES),
    "cortex-a72": (0xD08, FEATURES),
    "cortex-a76": (0xD0B, DOT_PRODUCTS),
}


def what_is_missing() -> str:
    """Why no such program can run here, or nothing."""
    return lacking(TOOLS)


def run_on(core: str, program: Path, *arguments: object, within_s: float) -> str:
    """Run a program of Python on one of CORES; return what it printed. Fails with its error where there is one."""
    python = _python_of(_tree(), core)
    done = subprocess.run(
        [*python, program, *map(str, arguments)],
        env={"PYTHONPATH": f"/{SITE}", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=within_s,
    )
    assert done.returncode == 0, f"{core}: exit {done.returncode}\n{done.stdout}{done.stderr[-3000:]}"
    return done.stdout


def _python_of(tree: Path, core: str) -> list[str | Path]:
    """Return the command. QEMU looks for absolute paths in a tree first: /proc/cpuinfo of a host is not the core's,
    and onnxruntime chooses kernels by it."""
    own = tree.with_name(f"{tree.name}-{core}")
    with made_once(own) as unfinished:
        if unfinished is not None:
            for name in ("etc", "lib", "opt", "usr"):
                (unfinished / name).symlink_to(tree / name)
            (unfinished / "proc").mkdir()
            (unfinished / "proc/cpuinfo").write_text(_cpuinfo(core))
    return ["qemu-aarch64", "-cpu", core, "-L", own, own / "usr/bin/python3", "-B"]


def _cpuinfo(core: str) -> str:
    part, features = CORES[core]
    return (
        f"processor\t: 0\nBogoMIPS\t: 108.00\nFeatures\t: {features}\nCPU implementer\t: 0x41\n"
        f"CPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: {part:#x}\nCPU revision\t: 1\n\n"
    )


def _tree() -> Path:
    requirements = tuple(f"{name}=={version(name)}" for name in WHEELS)
    recipe = hashlib.sha256(Path(__file__).read_bytes() + " ".join(requirements).encode()).hexdigest()[:8]
    tree = cache() / f"core-arm64-{recipe}"
    with made_once(tree) as unfinished:
        if unfinished is not None:
            _unpack(unfinished)
            _install(unfinished, requirements)
    return tree


def _unpack(tree: Path) -> None:
    exclude = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("man", "doc", "locale", "zoneinfo")]
    merged = 'for name in bin sbin lib; do mkdir -p "$1/usr/$name"; ln -s "usr/$name" "$1/$name"; done'
    suite, sources = suite_and_sources()
    command = ["mmdebstrap", "--quiet", "--architectures=arm64", "--variant=extract", "--mode=root"]
    command += ["--format=directory", f"--include={','.join(PACKAGES)}", *exclude, f"--setup-hook={merged}"]
    run(*command, "--aptopt=Acquire::Languages none", suite, tree, *sources)


def _install(tree: Path, requirements: tuple[str, ...]) -> None:
    python = (tree / "usr/bin/python3").readlink().name.removeprefix("python")
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:"]
        command += ["--python-version", python, *(f"--platform={name}" for name in PLATFORMS)]
        run(*command, "-d", folder, *requirements)
        for wheel in sorted(Path(folder).glob("*.whl")):
            with zipfile.ZipFile(wheel) as content:
                content.extractall(tree / SITE, [name for name in content.namelist() if "/tests/" not in name])
