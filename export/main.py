"""The command `edged-export`: builds a bundle from a recipe, all stages or one at a time."""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from edged.bundle.errors import BundleError
from edged.infer.errors import InferError
from export.bank.command import bank
from export.bench_command import bench, quantisation
from export.data.command import data, recipe
from export.errors import ExportError
from export.progress import Report, bar
from export.study.command import evaluate
from export.transfer.command import transfer
from export.twin.command import twin

if TYPE_CHECKING:
    from export.components.job import ComponentsJob
    from export.job import Job

STAGES = {
    "train": "train the networks and fit the gate's space",
    "calibrate": "temperature, conformal quantiles, gate limits",
    "convert": "torch to one ONNX graph in float",
    "quantise": "weights to int8, and all ways of doing so side by side",
    "verify": "graphs against torch; golden vectors",
    "trial": "accuracy, refusals, stress, baselines of what will be shipped",
    "report": "one HTML page of all that",
    "pack": "the sealed bundle",
}
"""In the order in which `build` runs them."""

EXIT_FAILED, EXIT_BAD_RECIPE = 1, 78


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
def main() -> None:
    """Build the models that edged runs.

    Example: edged-export build powders12
    """


main.add_command(bank)
main.add_command(data)
main.add_command(recipe)
main.add_command(transfer)
main.add_command(bench)
main.add_command(quantisation)
main.add_command(evaluate)
main.add_command(twin)


@main.command()
@click.option("--points", type=click.IntRange(8, 65_536), help="Of the spectra.  [default: those of two public sets]")
@click.option("--classes", type=click.IntRange(2, 10_000), default=4, show_default=True, help="With --points.")
def networks(*, points: int | None, classes: int) -> None:
    """What each named network weighs: parameters and multiply-adds, as a Markdown table.

    Example: edged-export networks --points 228 --classes 12
    """
    _needs_the_toolchain()
    from export.models.table import TASKS, networks_table

    click.echo(networks_table(TASKS if points is None else ((points, classes),)), nl=False)


def _options(command: Callable[..., None]) -> Callable[..., None]:
    """The options that every stage takes."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end, and nothing else."),
        click.option("--quick", is_flag=True, help="A small bundle in under a minute, for tests; not for use."),
        click.option("--seed", type=click.IntRange(0, 2**31), default=0, show_default=True),
        click.option(
            "--work", type=click.Path(path_type=Path), help="Where stages leave their files.  [default: build/RECIPE]"
        ),
        click.option(
            "--data",
            type=click.Path(path_type=Path),
            help="Folder of public spectra.  [default: $EDGED_DATA or ../shared/data]",
        ),
        click.option(
            "--out",
            type=click.Path(path_type=Path),
            default=Path("dist"),
            show_default=True,
            help="Where the bundle goes.",
        ),
        click.argument("recipe"),
    ):
        command = option(command)
    return command


@main.command()
@_options
def build(**options: Any) -> None:
    """Run all stages: RECIPE is the name of one that comes with edged, or the path of a TOML file.

    Example: edged-export build powders12 --out dist
    """
    _run(list(STAGES), **options)


def _add_stage(name: str, text: str) -> None:
    @main.command(name=name, help=f"{text[0].upper()}{text[1:]}.\n\nExample: edged-export {name} powders12")
    @_options
    def stage(**options: Any) -> None:
        _run([name], **options)


for _name, _text in STAGES.items():
    _add_stage(_name, _text)


def _needs_the_toolchain() -> None:
    """Say what to install where torch and its like are missing; they take seconds to load, so nobody does before."""
    try:
        import export.job  # noqa: F401
    except ModuleNotFoundError as missing:
        raise SystemExit(
            f"edged-export: {missing.name} is not installed here\n"
            "    in a checkout: .venv/bin/python -m pip install -e '.[export]'"
        ) from None


def _run(
    stages: list[str],
    *,
    recipe: str,
    out: Path,
    data: Path | None,
    work: Path | None,
    seed: int,
    quick: bool,
    as_json: bool,
) -> None:
    _needs_the_toolchain()
    console = Console(stderr=as_json, quiet=as_json)
    try:
        folder = data or Path(os.environ.get("EDGED_DATA") or "../shared/data")
        job = _job(recipe, data=folder, work=work, seed=seed, quick=quick)
        job = replace(job, called=_as_called(recipe, data=data, work=work, seed=seed, quick=quick))
        results: dict[str, Any] = {}
        if "train" in stages:  # what costs hours begins with what takes a second
            results["data"] = {"notes": [str(finding) for finding in job.examine()]}
            for note in results["data"]["notes"]:
                console.print(f"note  {note}", markup=False, highlight=False, soft_wrap=True)
        if len(stages) > 1:
            _refuse_to_lose(job, out)
        for stage in stages:
            started = time.monotonic()
            with bar(console, stage) as report:
                results[stage] = _perform(stage, job, out, report)
            shown = ", ".join(f"{key} {_short(value)}" for key, value in results[stage].items())
            console.print(f"[bold]{stage}[/] {time.monotonic() - started:.1f} s  {shown}", highlight=False)
    except (ExportError, BundleError, InferError) as error:
        if as_json:
            click.echo(json.dumps({"error": error.message, "hint": error.hint}))
        click.echo(f"edged-export: {error}", err=True)
        from export.errors import RecipeError

        sys.exit(EXIT_BAD_RECIPE if isinstance(error, RecipeError) else EXIT_FAILED)
    if as_json:
        click.echo(json.dumps(results, sort_keys=True))


def _as_called(recipe: str, *, data: Path | None, work: Path | None, seed: int, quick: bool) -> str:
    """What stands behind a stage's name on the command line for the same recipe in the same folder."""
    given = {"--data": data, "--work": work, "--seed": seed or None}
    options = [str(word) for option, value in given.items() if value is not None for word in (option, value)]
    return shlex.join([recipe, *options, *(["--quick"] if quick else [])])


def _job(recipe: str, *, data: Path, work: Path | None, seed: int, quick: bool) -> Job | ComponentsJob:
    """Return the job of a recipe of either kind. Raises RecipeError."""
    from export.components.job import ComponentsJob
    from export.components.recipe import is_for_components, load_components_recipe
    from export.job import Job
    from export.recipe import load_recipe

    def place(name: str) -> Path:
        return work or Path("build") / (f"{name}-quick" if quick else name)

    how: dict[str, Any] = {"data": data, "seed": seed, "quick": quick, "beside": Path(recipe).parent}
    if is_for_components(recipe):
        mixtures = load_components_recipe(recipe)
        mixtures = mixtures.quickened() if quick else mixtures
        return ComponentsJob(recipe=mixtures, work=place(mixtures.name), **how)
    words = load_recipe(recipe)
    words = words.quickened() if quick else words
    return Job(recipe=words, work=place(words.name), **how)


def _refuse_to_lose(job: Job | ComponentsJob, out: Path) -> None:
    """Raise BankUnfit before the hours, not behind them, where the last stage would refuse to write over a bank."""
    from export.components.job import ComponentsJob

    if isinstance(job, ComponentsJob):
        from export.components.pack import refuse_to_lose

        refuse_to_lose(job, out)


def _perform(stage: str, job: Job | ComponentsJob, out: Path, report: Report) -> dict[str, Any]:
    """Run one stage. Each is imported when it is reached: torch alone takes seconds."""
    from threadpoolctl import threadpool_limits

    run = getattr(import_module(job.stages[stage]), stage)
    with threadpool_limits(job.threads), job.running(stage):
        if stage == "pack":
            bundle = run(job, out)
            return {"bundle": str(bundle.path), "digest": bundle.digest, "size_bytes": bundle.size_bytes}
        told: dict[str, Any] = run(job, report) if stage in ("train", "trial") else run(job)
        return told


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return "(" + ", ".join(f"{key} {_short(inner)}" for key, inner in value.items()) + ")"
    return str(value)


if __name__ == "__main__":
    main()
