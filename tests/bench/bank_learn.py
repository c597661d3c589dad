"""What it takes a bank to learn a compound from ten spectra, and what comes of it: `python -m tests.bench.bank_learn`.

Two banks. `synthetic`: 368 Raman compounds that no instrument has measured, their members random numbers, which is
enough for the time, for the newcomer's own answers, and for whether the others stay the same; a 369th is learned from
ten noisy spectra. `powders`: two real powders in the near infrared; the third is learned from ten of its scans, then
the first two again, the worst first, and the bundles are tried on the real mixtures of all three. Both run the real
commands in processes of their own, and tell after which lesson a bundle would have been refused and why, and how long
it took to the first that would not.
"""

from __future__ import annotations

import csv
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from edged.bundle.archive import Bundle, read_bundle
from edged.infer.engine import Engine
from export.bank.folder import load_bank, save_bank
from export.components.answers import told
from export.components.evidence import rates
from export.components.fused import Voice
from export.components.trials import trial_of
from export.data.augment import resample
from export.data.catalogue import load_set
from export.data.mixtures.synthesise import synthesise
from export.data.mixtures.synthetic import synthetic_library
from export.preprocess.pipeline import build
from tests.bench.subject import REPOSITORY
from tests.export.bank.kits import NOISE, bank_and_kit, recipe, write_table
from tests.export.bank.made import network

COMPOUNDS, POINTS, AXIS_POINTS = 368, 440, 1024
LIMIT_S = 600.0  # what a new compound may take, on two cores
HELD_OUT, TRIED = 12_000, 4_000  # mixtures without the newcomer: that limits stand on, and of another seed afterwards
SAME = 64  # spectra on which the others must say the same to the bit
POWDERS = {"acetaminophen": "100AC", "ascorbic acid": "100AA", "lactose": "100LA"}
LEARNT, FILLING = 80, 10  # scans of a powder that teach; the last twenty of a hundred are only tried


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """What `bank learn` told of a compound, and its wall and CPU time, from the start of its process to its end.

    broken: promises that were measured not to hold, the worst first; while there is one, no bundle is written unless
    `--anyway` is said.
    """

    compound: str
    told: dict[str, Any]
    broken: list[dict[str, Any]]
    wall_s: float
    cpu_s: float

    def summary(self) -> dict[str, Any]:
        """Return what is printed of it; of many broken promises their number and the worst."""
        return {
            "compound": self.compound,
            "wall_s": self.wall_s,
            "cpu_s": self.cpu_s,
            "broken_promises": len(self.broken),
            "worst": self.broken[:3],
        }


def until_written(lessons: Sequence[Lesson]) -> dict[str, Any]:
    """Return how long lessons took together to the first with a bundle; None where all were left without one."""
    kept = next((place for place, lesson in enumerate(lessons) if not lesson.broken), None)
    needed = [] if kept is None else lessons[: kept + 1]
    return {
        "lessons": [lesson.summary() for lesson in lessons],
        "until_a_bundle_wall_s": sum(lesson.wall_s for lesson in needed) if needed else None,
        "until_a_bundle_cpu_s": sum(lesson.cpu_s for lesson in needed) if needed else None,
    }


def synthetic(folder: Path, compounds: int, *, quick: bool) -> dict[str, Any]:
    """Learn one compound more, in a bank of random members."""
    school = {"epochs": 1, "mixtures": 512} if quick else {"epochs": 12, "mixtures": 6000, "batch": 64}
    held_out = 200 * compounds if quick else HELD_OUT
    words = recipe(
        {"kind": "resuca"},
        points=POINTS,
        schooling={**school, "balanced": True},
        held_out={"choosing": held_out, "trying": held_out},
        presets={
            "screen": {"false_names": 1.0, "confirm": False},
            "balanced": {"false_names": 0.3, "confirm": False},
        },
    )
    whole = synthetic_library(compounds + 1, AXIS_POINTS, 0, scans=3).library
    new, known = whole.names[-1], whole.of(whole.names[:-1])
    bank, kit = bank_and_kit(words, known, network(words.network, compounds, seed=1, points=POINTS))  # type: ignore[arg-type]
    shutil.rmtree(folder, ignore_errors=True)
    save_bank(bank, folder / "bank", kit)
    scans = synthetic_library(compounds + 1, AXIS_POINTS, 0, scans=20).library.of([new]).values
    rng = np.random.default_rng(4)
    noisy = scans[:10] + rng.normal(0.0, NOISE, scans[:10].shape) * scans[:10].max(axis=1, keepdims=True)
    spectra = write_table(folder / "ten.csv", whole.axis, noisy)
    lesson = learned(folder / "bank", new, spectra, folder / "dist")
    after, steps = load_bank(folder / "bank"), build(words.steps, words.grid)
    rows = synthesise(known, words.synthesis, SAME, np.random.default_rng(8), grid=words.grid).values
    first, last = Voice(steps, bank).say(rows), Voice(steps, after).say(rows)
    alone = Voice(steps, after.without(known.names))
    tried = TRIED // 10 if quick else TRIED
    lacking = synthesise(known, words.synthesis, tried, np.random.default_rng(9), grid=words.grid).values
    unseen = whole.of(known.names)
    holding = _holding(unseen, scans[10:], new, tried // 4, words)
    limits = after.member(new).thresholds
    answers = {
        preset: {
            "recall": float((alone.say(holding)[:, 0] >= limit).mean()),
            "false": int((alone.say(lacking)[:, 0] >= limit).sum()),
            "of": tried,
        }
        for preset, limit in limits.items()
    }
    return {
        "compounds": compounds,
        **until_written([lesson]),
        "others_same_to_the_bit": first.tobytes() == last[:, :compounds].tobytes(),
        "promised": {
            p: {k: found[k] for k in ("recall", "named_in_them")} for p, found in lesson.told["presets"].items()
        },
        "on_mixtures_of_another_seed_and_other_scans": answers,
        "bundle_bytes": next((folder / "dist").glob("*.edgebundle")).stat().st_size,
    }


def powders(folder: Path, data: Path, *, quick: bool) -> dict[str, Any]:
    """Build a bank of two powders, learn the third from ten scans, try the bundle on real mixtures."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    spectra = load_set("powders12", data)
    rows = {
        name: [row for row, label in enumerate(spectra.labels) if label == code and spectra.scan[row] < LEARNT]
        for name, code in POWDERS.items()
    }
    first, second, new = POWDERS
    _write_folder(folder / "two", spectra.axis, spectra.values, {name: rows[name] for name in (first, second)})
    ten = _table(folder / "ten.csv", spectra.axis, spectra.values[rows[new][:: LEARNT // FILLING]])  # one a filling
    shutil.copy(Path(__file__).parent / "powders-bank.toml", folder)
    built = command(
        "build", folder / "powders-bank.toml", "--work", folder / "work", "--out", folder / "dist",
        *(["--quick"] if quick else []),
    )  # fmt: skip
    lesson = learned(folder / "dist" / "powders-bank", new, ten, folder / "learned")
    bundle = read_bundle(next((folder / "learned").glob("*.edgebundle")))
    often = lesson.told["presets"]["balanced"]["false_names_of_others"]["often"]
    others = [
        learned(folder / "dist" / "powders-bank", known, None, folder / "again")
        for known in sorted((first, second), key=lambda name: -often.get(name, 0.0))  # they have never seen the third
    ]
    again = read_bundle(max((folder / "again").glob("*.edgebundle")))
    peer = read_bundle(next((REPOSITORY / "edged" / "bundle" / "default").glob("powders-components-*.edgebundle")))
    return {
        "build": {stage: built[stage] for stage in ("trial", "quantise")},
        **until_written([lesson, *others]),
        "promised": {
            p: {k: found[k] for k in ("recall", "named_in_them", "false_names_of_others")}
            for p, found in lesson.told["presets"].items()
        },
        "on_real_mixtures": {
            "the third learned": on_real(bundle, data),
            "then the first two again": on_real(again, data),
            "powders-components, as shipped": on_real(peer, data),
        },
    }


def on_real(bundle: Bundle, data: Path) -> dict[str, Any]:
    """What a bundle says of real mixtures of the three powders, at its default preset."""
    names = tuple(compound.label for compound in bundle.manifest.compounds)
    axis, found, present = bundle.manifest.axis, [], []
    for name in ("powders12", "powders-ternary"):
        spectra = load_set(name, data)
        trial = trial_of(name, spectra, names, seen=spectra.scan < LEARNT)
        mixed = trial.told & (trial.present.sum(axis=1) > 1)
        grid = np.linspace(axis.start, axis.stop, axis.points)
        values = resample(trial.values[mixed], spectra.axis, grid).astype(np.float32)
        found.append(told(bundle, Engine.load(bundle).run(values), bundle.manifest.default_preset))
        present.append(trial.present[mixed])
    said, truth = np.concatenate([one.found for one in found]), np.concatenate(present)
    outcome = np.concatenate([one.outcome for one in found])
    each = {
        name: {
            "recall": float(said[truth[:, column], column].mean()),
            "false": int(said[~truth[:, column], column].sum()),
            "of": int((~truth[:, column]).sum()),
        }
        for column, name in enumerate(names)
    }
    return {
        "mixtures": len(truth),
        **rates(said, truth),
        "not_in_scope": float((outcome == "not_in_scope").mean()),
        "compounds": each,
    }


def learned(bank: Path, compound: str, spectra: Path | None, out: Path) -> Lesson:
    """Run `bank learn`, of a compound that the bank has without spectra. The bundle is written whatever was found: it
    is tried here."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.monotonic()
    said = command(
        "bank", "learn", bank, compound, "--replace" if spectra is None else spectra, "--anyway", "--out", out
    )
    wall_s, now = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    return Lesson(compound=compound, told=said["learned"], broken=said["broken_promises"], wall_s=wall_s, cpu_s=cpu_s)


def command(*words: str | Path) -> dict[str, Any]:
    """Run `edged-export` and return its JSON."""
    program = [sys.executable, "-m", "export.main", *map(str, words), "--json"]
    done = subprocess.run(program, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"edged-export {words[0]}: ended with {done.returncode}")
    told_of: dict[str, Any] = json.loads(done.stdout)
    return told_of


def _holding(known: Any, scans: NDArray[np.float64], new: str, count: int, words: Any) -> NDArray[np.float32]:
    """Mixtures that hold the newcomer, of scans of it that nothing has seen."""
    from export.bank.newcomer import Newcomer, extended

    own = np.arange(len(scans))
    other = Newcomer(name=new, axis=known.axis, values=scans, groups=own, remarks=(), digests={})
    made = synthesise(
        extended(known, other), words.synthesis, 2 * count, np.random.default_rng(10), grid=words.grid, target=new
    )
    return made.values[::2]


def _write_folder(
    folder: Path, axis: NDArray[np.float64], values: NDArray[np.float64], rows: dict[str, list[int]]
) -> None:
    """A folder of pure scans with its labels.csv, ten scans a filling."""
    folder.mkdir()
    lines: list[Sequence[object]] = [("file", "row", "label", "group")]
    for name, taken in rows.items():
        path = _table(folder / f"{name}.csv", axis, values[taken])
        lines += [(path.name, scan + 1, name, f"{name} {scan // FILLING}") for scan in range(len(taken))]
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(lines)


def _table(path: Path, axis: NDArray[np.float64], values: NDArray[np.float64]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["nm", *axis], *(["scan", *row] for row in values)])
    return path


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--only", type=click.Choice(["synthetic", "powders"]), help="This bank only.")
@click.option("--quick", is_flag=True, help="Small and in a minute: shows that it works.")
@click.option(
    "--data", type=click.Path(path_type=Path), help="Public spectra.  [default: $EDGED_DATA or ../shared/data]"
)
@click.option("--folder", type=click.Path(path_type=Path), default=REPOSITORY / "build" / "bench" / "bank-learn")
def main(only: str | None, data: Path | None, folder: Path, *, quick: bool) -> None:
    """Let banks learn, and print what it took beside the limit of ten minutes, as JSON.

    Example: python -m tests.bench.bank_learn --only synthetic
    """
    if only != "powders":
        found = synthetic(folder / "synthetic", 12 if quick else COMPOUNDS, quick=quick)
        click.echo(json.dumps({"synthetic": found, "limit_s": LIMIT_S}, indent=1))
    if only != "synthetic":
        where = data or Path(os.environ.get("EDGED_DATA") or REPOSITORY.parent / "shared" / "data")
        found = powders(folder / "powders", where, quick=quick)
        click.echo(json.dumps({"powders": found, "limit_s": LIMIT_S}, indent=1))


if __name__ == "__main__":
    main()
