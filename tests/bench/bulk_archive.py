"""An archive through `edged analyze --out` on all cores: spectra a second, memory, and what a kill in the middle does.

Of each bundle the archive is judged twice: undisturbed; then killed in the middle, with all its workers and no chance
to tidy up, and given again. Both must give the same bytes, and their first spectra what `edged analyze --json` says of
them one by one. `python -m tests.bench.bulk_archive` writes docs/results/bulk.md, with `--only` one of its columns;
what was measured lies beside it, in bulk.json. It takes ten minutes of two idle cores for the million that are
identified, half as long for a tenth of them whose components are named, and 8 GB of disk. `--spectra 20000 --components
2000` shows that it works.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, Final

import click
import psutil

from edged.bundle.archive import read_bundle
from edged.bundle.slots import newest_built_in
from tests.bench.archive import write_archive
from tests.bench.bank_page import processor
from tests.bench.bulk_page import Judged, page
from tests.bench.daemon import STARTER
from tests.bench.subject import REPOSITORY, Scale, Subject
from tests.bench.timing import as_installed

QUESTIONS: Final = {"powders12": "identify", "powders-components": "components"}  # bundle and what it is asked
LOOK_EVERY_S: Final = 0.2
SINGLY: Final = 500  # spectra that are asked one by one as well


@dataclass
class Watched:
    """One run of the command. mb: resident memory of it and its workers, look after look; what they share counts in
    each of them. spectra: that were on disk when it ended."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    mb: list[float] = field(default_factory=list)
    spectra: int = 0


def judged(name: str, table: Path, spectra: int, folder: Path, workers: int) -> Judged:
    """Judge the archive by one bundle, twice. Raises AssertionError where a run fails."""
    bundle = newest_built_in(name)
    assert bundle is not None, f"{name} is not built in"
    words = [*_words(table, bundle, QUESTIONS[name]), "--workers", str(workers)]
    whole, again = folder / f"{name}.jsonl", folder / f"{name}-again.jsonl"
    first = _watched([*words, "--out", str(whole)])
    last = last_mark(whole)
    killed = _watched([*words, "--out", str(again)], kill_at=(again, whole.stat().st_size // 2))
    resumed = _watched([*words, "--out", str(again)])
    found = Judged(
        bundle=f"{name} {read_bundle(bundle).manifest.version}",
        procedure=QUESTIONS[name],
        processor=processor(),
        workers=workers,
        spectra=spectra,
        in_bytes=table.stat().st_size,
        out_bytes=whole.stat().st_size,
        wall_s=first.wall_s,
        cpu_s=first.cpu_s,
        peaks_mb=peaks(first.mb),
        kept_at_kill=killed.spectra,
        lost_at_kill_s=killed.wall_s + resumed.wall_s - first.wall_s,
        same_bytes=_digest(whole) == _digest(again),
        singly=min(SINGLY, spectra),
        same_singly=_same_singly(table, whole, bundle, QUESTIONS[name], folder),
        outcomes=last["outcomes"],
    )
    for path in (whole, again):
        path.unlink()
    return found


def _words(table: Path, bundle: Path, procedure: str) -> list[str]:
    return ["analyze", str(table), "--bundle", str(bundle), "--procedure", procedure]


def _watched(words: list[str], *, kill_at: tuple[Path, int] | None = None) -> Watched:
    """Run the command and look at it; kill it and its workers once so many bytes of results are there."""
    found, before, began_s = Watched(), resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", STARTER, *words],
        cwd=REPOSITORY,
        env=as_installed(),
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    part = None if kill_at is None else kill_at[0].with_name(f"{kill_at[0].name}.part")
    try:
        while process.poll() is None:
            found.mb.append(sum(_resident(process.pid)) / 1e6)
            if kill_at is not None and part is not None and part.exists() and part.stat().st_size >= kill_at[1]:
                break
            time.sleep(LOOK_EVERY_S)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    found.wall_s, after = time.perf_counter() - began_s, resource.getrusage(resource.RUSAGE_CHILDREN)
    found.cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if kill_at is None:
        assert process.returncode == 0, f"{' '.join(words)}: ended with {process.returncode}"
    else:
        assert process.returncode == -signal.SIGKILL, "the run was over before it could be killed: more spectra"
        found.spectra = last_mark(kill_at[0])["spectra"]
    return found


def _resident(pid: int) -> Iterator[int]:
    try:
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            yield one.memory_info().rss
    except psutil.NoSuchProcess:
        return


def last_mark(out: Path) -> dict[str, Any]:
    """How far a run is by what it has left; the first line tells what is asked, a cut one counts as none."""
    lines = out.with_name(f"{out.name}.run").read_text(encoding="utf-8").splitlines(keepends=True)[1:]
    whole = [line for line in lines if line.endswith("\n")]
    mark: dict[str, Any] = json.loads(whole[-1]) if whole else {"spectra": 0, "outcomes": {}}
    return mark


def peaks(mb: list[float]) -> tuple[float, ...]:
    """The most in each tenth of a run."""
    edges = [tenth * len(mb) // 10 for tenth in range(11)]
    return tuple(max(mb[low : max(high, low + 1)]) for low, high in pairwise(edges))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _same_singly(table: Path, out: Path, bundle: Path, procedure: str, folder: Path) -> int:
    """How many of the first spectra are answered alike one by one; the file's name, which is another, aside."""
    few = folder / "few.csv"
    with table.open(encoding="ascii") as lines, few.open("w", encoding="ascii") as file:
        file.writelines(islice(lines, SINGLY + 1))
    command = [sys.executable, "-c", STARTER, *_words(few, bundle, procedure), "--json"]
    said = subprocess.run(command, cwd=REPOSITORY, env=as_installed(), check=True, capture_output=True, text=True)
    with out.open(encoding="utf-8") as lines:
        archived = list(islice(lines, SINGLY))
    pairs = zip(archived, said.stdout.splitlines(), strict=False)
    return sum(_answer(one) == _answer(other) for one, other in pairs)


def _answer(line: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(line)
    return {key: document[key] for key in ("row", "verdict", "probabilities")}


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.option("--spectra", type=click.IntRange(min=1000), default=1_000_000, show_default=True)
@click.option(
    "--components",
    type=click.IntRange(min=1000),
    default=100_000,
    show_default=True,
    help="Spectra of which the components are named: each takes as long as five or six that are identified.",
)
@click.option("--workers", type=click.IntRange(min=1), default=os.cpu_count() or 1, help="[default: one a core]")
@click.option("--only", type=click.Choice(list(QUESTIONS)), multiple=True, help="This bundle; may be repeated.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=REPOSITORY / "build" / "bench",
    help="Where archive and results lie meanwhile.  [default: build/bench]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=REPOSITORY / "docs" / "results" / "bulk.md",
    help="[default: docs/results/bulk.md]",
)
def main(spectra: int, components: int, workers: int, only: tuple[str, ...], folder: Path, out: Path) -> None:
    """Make an archive, judge it, kill, go on, compare, and write the page.

    Example: python -m tests.bench.bulk_archive --spectra 20000 --components 2000 --out /tmp/bulk.md
    """
    data = Path(os.environ.get("EDGED_DATA") or REPOSITORY.parent / "shared" / "data")
    subject = Subject(scale=Scale(), folder=folder, data=data, work=REPOSITORY / "build" / "powders12")
    kept = out.with_suffix(".json")
    known: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    with subject.scratch() as scratch:
        for name in only or QUESTIONS:
            table, many = scratch / "archive.csv", components if QUESTIONS[name] == "components" else spectra
            write_archive(table, *subject.whole_set, spectra=many)
            found = judged(name, table, many, scratch, workers)
            click.echo(f"{name}: {many / found.wall_s:,.0f} spectra a second", err=True)
            known[name] = asdict(found)
            kept.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
            out.write_text(page([Judged(**known[name]) for name in QUESTIONS if name in known]))
    click.echo(os.fspath(out))


if __name__ == "__main__":
    main()
