"""Each shipped bundle built anew from a clean clone: how long, in how much memory, the same verdicts; and what Ctrl-C
costs.

`python -m tests.bench.builds` writes docs/results/builds.md; with names it builds these alone, and the page keeps what
is known of the others. What was measured lies beside the page, in builds.json.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import psutil

from edged.bundle.archive import Bundle, read_bundle
from edged.bundle.slots import built_ins
from edged.infer.engine import Engine
from export.job import STAGES
from export.page import Code, Heading, Page, Part, Table, Text
from tests.bench.archive import write_archive
from tests.bench.subject import REPOSITORY

NAMES = ("powders12", "api20", "isoniazid-dose", "powders-components", "solvents13")
LIMIT_MINUTES = 20.0
CORES = 2
LOOK_EVERY_S = 0.2
JUDGED = 300  # spectra of the recipe's set, changed as an archive of another day would be
TOLD = re.compile(r"^(\w+) ([\d.]+) s\b", re.MULTILINE)  # what build prints when a stage has ended
Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """One run of the command. peak_mb: resident memory of all its processes together; cpu_s: their CPU time."""

    status: int
    wall_s: float
    cpu_s: float
    peak_mb: float
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """A training that Ctrl-C ended, twice in a row, and the same command again. members: how many there are; kept: how
    many lay there when it had ended; the same: whether the second run left these alone and ended with the weights of an
    undisturbed build, bit for bit."""

    members: int
    kept: int
    at_s: float
    again_s: float
    undisturbed_s: float
    same: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """One bundle. shipped: the version that it is compared with. commit: of the clone. load: processes that wanted to
    run when it began."""

    name: str
    version: str
    shipped: str
    commit: str
    quick: bool
    load: float
    wall_s: float
    cpu_s: float
    peak_mb: float
    stages_s: dict[str, float]
    same_digest: bool
    same_graph: bool
    golden: float
    tolerance: float
    judged: int
    same_outcome: int
    same_verdict: int
    stopped: Stopped | None


def clone(folder: Path) -> str:
    """Clone what is committed into `folder`; return the commit."""
    subprocess.run(["git", "clone", "-q", "--no-hardlinks", str(REPOSITORY), str(folder)], check=True)
    found = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=folder, check=True, capture_output=True, text=True
    )
    return found.stdout.strip()


def run(words: list[str], *, clone: Path, log: Path, meanwhile: Callable[[psutil.Process], None] | None = None) -> Ran:
    """Run `edged-export` of the clone on two cores. meanwhile: called again and again with its process."""
    started = time.monotonic()
    env = {**os.environ, "PYTHONPATH": str(clone), "COLUMNS": "1000"}
    cores = sorted(os.sched_getaffinity(0))[:CORES]
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "export.main", *words],
            cwd=clone,
            env=env,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        watched = psutil.Process(process.pid)
        watched.cpu_affinity(cores)
        peak, cpu = 0.0, dict[int, float]()
        try:
            while process.poll() is None:
                peak = max(peak, _held_mb(watched, cpu))
                if meanwhile is not None:
                    meanwhile(watched)
                time.sleep(LOOK_EVERY_S)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    return Ran(
        status=process.returncode,
        wall_s=time.monotonic() - started,
        cpu_s=sum(cpu.values()),
        peak_mb=peak,
        said=log.read_text(),
    )


def _held_mb(watched: psutil.Process, cpu: dict[int, float]) -> float:
    """What the process and all below it hold now; their CPU seconds so far go into `cpu`."""
    held = 0.0
    with suppress(psutil.Error):
        for one in (watched, *watched.children(recursive=True)):
            with suppress(psutil.Error):
                held += one.memory_info().rss / 2**20
                cpu[one.pid] = sum(one.cpu_times()[:2])
    return held


def built(name: str, clone: Path, commit: str, folder: Path, *, data: Path, quick: bool) -> Built:
    """Build one bundle and look at it. Raises ClickException where the build fails."""
    load = os.getloadavg()[0]
    usual = ["--data", str(data), *(["--quick"] if quick else [])]
    ran = run(
        ["build", name, "--work", str(folder / "work"), "--out", str(folder), *usual],
        clone=clone,
        log=folder / "build.log",
    )
    if ran.status:
        raise click.ClickException(f"{name}: the build ended with {ran.status}: {ran.said[-2000:]}")
    shipped = read_bundle(next(path for path in built_ins() if path.name.startswith(f"{name}-")))
    (path,) = folder.glob("*.edgebundle")
    made = read_bundle(path)
    table = folder / "spectra.csv"
    options = _archive(name, table, data)
    before, after = (_verdicts(file, table, options) for file in (shipped.path, path))
    stages = {stage: float(seconds) for stage, seconds in TOLD.findall(ran.said)}
    return Built(
        name=name,
        version=made.manifest.version,
        shipped=shipped.manifest.version,
        commit=commit,
        quick=quick,
        load=round(load, 1),
        wall_s=round(ran.wall_s, 1),
        cpu_s=round(ran.cpu_s, 1),
        peak_mb=round(ran.peak_mb, 1),
        stages_s=stages,
        same_digest=made.digest == shipped.digest,
        same_graph=made.model == shipped.model,
        golden=float(f"{_golden(shipped, made):.3g}"),
        tolerance=shipped.manifest.golden_tolerance,
        judged=len(before),
        same_outcome=sum(_names(one) == _names(other) for one, other in zip(before, after, strict=True)),
        same_verdict=sum(one == other for one, other in zip(before, after, strict=True)),
        stopped=_stopped(name, clone, folder, usual, stages.get("train", 0.0)),
    )


def _golden(shipped: Bundle, made: Bundle) -> float:
    """The largest difference of what the new graph answers to the golden spectra of the shipped bundle."""
    said = Engine.load(made).run(shipped.golden["spectra"])
    answer = "amounts" if "amounts" in shipped.golden else "logits"
    off = np.abs(getattr(said, answer).astype(np.float64) - shipped.golden[answer])
    spans = [one.highest - one.lowest for one in shipped.manifest.amounts] if answer == "amounts" else [1.0]
    return float((off / np.array(spans)).max())


def _archive(name: str, path: Path, data: Path) -> list[str]:
    """Write spectra of the recipe's set as a table; return the options that it is read with."""
    from export.main import _job

    spectra = _job(name, data=data, work=Path(), seed=0, quick=False).learned_from
    write_archive(path, spectra.axis, spectra.values, spectra=min(JUDGED, 3 * len(spectra.labels)))
    return ["--unit", spectra.axis_unit, "--quantity", spectra.quantity]


def _verdicts(bundle: Path | None, table: Path, options: list[str]) -> list[Document]:
    program = [sys.executable, "-c", "from edged.cli.main import main; main()"]
    words = [*program, "analyze", str(table), "--json", *options, "--bundle", str(bundle)]
    said = subprocess.run(words, capture_output=True, text=True, cwd=REPOSITORY)
    if said.returncode:
        raise click.ClickException(f"{bundle}: {said.stderr[-1000:]}")
    return [json.loads(line)["verdict"] for line in said.stdout.splitlines()]


def _names(verdict: Document) -> tuple[Any, ...]:
    return verdict["outcome"], verdict["label"], tuple(sorted(one["label"] for one in verdict["components"]))


def _stopped(name: str, clone: Path, folder: Path, usual: list[str], undisturbed_s: float) -> Stopped | None:
    """Stop the training when its first member, or epoch, is kept. None where it had ended before."""
    members, whole = folder / "again" / "members", folder / "work" / "members"
    asked: list[float] = []

    def interrupt(process: psutil.Process) -> None:
        if len(asked) < 2 and (any(members.glob("*.pt")) or any(members.glob("*.epoch-*"))):
            asked.append(time.monotonic())
            process.send_signal(signal.SIGINT)
            time.sleep(1.0)

    words = ["train", name, "--work", str(folder / "again"), *usual]
    first = run(words, clone=clone, log=folder / "stopped.log", meanwhile=interrupt)
    if not asked or first.status == 0:
        return None
    kept = {path.name: path.stat().st_mtime_ns for path in members.glob("*.pt")}
    second = run(words, clone=clone, log=folder / "again.log")
    now = {path.name: path.stat().st_mtime_ns for path in members.glob("*.pt")}
    same = second.status == 0 and kept.items() <= now.items()
    same = same and all(_same_member(members / file, whole / file) for file in now)
    return Stopped(
        members=len(now),
        kept=len(kept),
        at_s=round(first.wall_s, 1),
        again_s=round(second.wall_s, 1),
        undisturbed_s=undisturbed_s,
        same=same,
    )


def _same_member(one: Path, other: Path) -> bool:
    return other.exists() and _storages(one) == _storages(other)


def _storages(path: Path) -> list[bytes]:
    """The numbers of all tensors in a file of torch; what is pickled around them varies from process to process."""
    with zipfile.ZipFile(path) as file:
        return [file.read(name) for name in sorted(file.namelist()) if "/data/" in name]


def page_of(known: Mapping[str, Document]) -> Page:
    """The page of what was measured, name by name."""
    rows, stops, stages = [], [], []
    for name in NAMES:
        if (one := known.get(name)) is None:
            rows.append([name, *["not built yet"] * 9])
            continue
        minutes = one["wall_s"] / 60
        rows.append(
            [
                f"{name} {one['version']}{', quick' if one['quick'] else ''}{_beside(one)}",
                f"{minutes:.1f}",
                "–" if one["quick"] else "met" if minutes <= LIMIT_MINUTES else "**missed**",
                f"{one['cpu_s'] / 60:.1f}",
                f"{one['load']:g}",
                f"{one['peak_mb']:,.0f}",
                _yes(one["same_digest"]),
                _yes(one["same_graph"]),
                f"{one['golden']:.2g} ({one['tolerance']:g}{': **over**' if one['golden'] > one['tolerance'] else ''})",
                f"{one['same_outcome']} of {one['judged']} ({one['same_verdict']})",
            ]
        )
        taken = sorted(one["stages_s"].items(), key=lambda taken: list(STAGES).index(taken[0]))
        stages.append([name, ", ".join(f"{stage} {seconds:.0f}" for stage, seconds in taken)])
        if stop := one["stopped"]:
            whole = f"{stop['at_s']:.0f} + {stop['again_s']:.0f} ({stop['undisturbed_s']:.0f})"
            stops.append([name, str(stop["members"]), str(stop["kept"]), whole, _yes(stop["same"])])
        else:
            stops.append([name, "–", "the training was over before it could be stopped", "–", "–"])
    header = ["bundle", "minutes", f"limit {LIMIT_MINUTES:g}", "CPU minutes", "load", "peak MB", "same bundle"]
    parts: list[Part] = [
        Text(" ".join(OPENING.split())),
        Code("python -m tests.bench.builds"),
        Heading("From a clean clone"),
        Table([*header, "same graph", "golden answers", "same outcome and names"], rows),
    ]
    if stages:
        parts += [Text("Seconds of each stage:"), Table(["bundle", "stages"], stages)]
        parts += [
            Heading("Ctrl-C, and the same command again"),
            Text(" ".join(STOP.split())),
            Table(["bundle", "members", "kept at the stop", "seconds", "the rest alike"], stops),
        ]
    commits = ", ".join(sorted({one["commit"] for one in known.values()}))
    parts.append(Text(f"Clones of {commits}." if commits else "Nothing is measured yet."))
    return Page(title="Building what ships", parts=tuple(parts))


def _beside(one: Document) -> str:
    return "" if one["version"] == one["shipped"] else f" (**beside {one['shipped']}**)"


def _yes(value: bool) -> str:
    return "yes" if value else "**no**"


OPENING = f"""
What is committed is cloned, and `edged-export build NAME` runs in the clone, held to {CORES} cores, with the seed
that the shipped bundle was made with. Wanted: at most {LIMIT_MINUTES:g} minutes, and the same verdicts. *load*:
processes that wanted to run when the build began; with others at work its CPU minutes over {CORES} cores tell more
than the clock. *peak MB*: resident memory of all its processes together, pages that they share counted for each.
*golden answers*: the largest difference of what the new graph says of the golden spectra of the shipped bundle, in
logits or of the range of amounts (beside it what a device allows). A device holds each bundle to the golden answers
in that very bundle; builds on two kinds of processors are two bundles, each with its own, so that *over* says how far
they have learnt apart and stops neither. What must agree is the last column: *same outcome and names*: of spectra of
the recipe's own set under another lamp and level, judged by `edged analyze` with either bundle (in brackets: the same
verdict to the last digit)."""
STOP = """
The training alone, in a folder of its own, is interrupted as soon as a member, or an epoch of one, is kept; again a
second later. The first Ctrl-C waits for the members at work, and loses none; the second drops them, at most one a
core, but for the epochs that a detector keeps. *seconds*: until the stop and with the second run (without a stop).
*the rest alike*: the second run leaves what was kept alone, and the weights of all are those of the build above, bit
for bit."""


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--data", type=click.Path(path_type=Path), help="Folder of public spectra.  [default: $EDGED_DATA]")
@click.option("--out", type=click.Path(path_type=Path), default=REPOSITORY / "docs" / "results")
@click.option("--quick", is_flag=True, help="Small bundles: shows that it works, not how long it takes.")
def main(names: tuple[str, ...], data: Path | None, out: Path, quick: bool) -> None:
    """Build shipped bundles from a clean clone and write the page.

    Example: python -m tests.bench.builds powders12 api20
    """
    if unknown := set(names) - set(NAMES):
        raise click.ClickException(f"no bundle ships as {', '.join(sorted(unknown))}; names: {', '.join(NAMES)}")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has what runs behind it ignore Ctrl-C
    folder = (data or Path(os.environ.get("EDGED_DATA") or REPOSITORY.parent / "shared" / "data")).resolve()
    kept = out / "builds.json"
    known: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    with tempfile.TemporaryDirectory(prefix="edged-builds-") as scratch:
        commit = clone(Path(scratch) / "clone")
        for name in names or NAMES:
            (Path(scratch) / name).mkdir()
            found = built(name, Path(scratch) / "clone", commit, Path(scratch) / name, data=folder, quick=quick)
            known[name] = asdict(found)
            click.echo(json.dumps(known[name]))
            kept.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
            page_of(known).write(out, "builds")


if __name__ == "__main__":
    main()
