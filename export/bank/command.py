"""The commands `edged-export bank ...`: which compounds a bank knows, and how they are learned, come and go."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from edged.infer.verdict import Preset
from export.bank import told as said

if TYPE_CHECKING:
    from export.bank.bank import Bank
    from export.bank.evidence import Tried
    from export.bank.kit import Kit

LEARNING = "learning"  # below the bank's folder: epochs of a compound that is being learned

BANK = click.argument("bank", type=click.Path(file_okay=False, path_type=Path))
SOURCE = click.argument("source", metavar="FROM", type=click.Path(file_okay=False, path_type=Path))
COMPOUNDS = click.argument("compounds", metavar="[COMPOUND]...", nargs=-1)
OUT = click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Write the bundle into this folder.")
DATA = click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder of public spectra, for a bank that may not hold its own.  [default: $EDGED_DATA or ../shared/data]",
)
ANYWAY = click.option("--anyway", is_flag=True, help="Write the bundle though a promise was measured not to hold.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object, and nothing else.")


@click.group()
def bank() -> None:
    """Compounds that one graph looks for: learn, list, add, replace, drop, set thresholds, pack.

    BANK is a folder: `edged-export build` leaves it beside the bundle where the recipe says scheme = "bank", or a
    program makes it: docs/banks.md. Each compound is kept apart; after a change the graph is made anew, and what it
    says of the other compounds stays the same to the last bit.

    Example: edged-export bank list banks/actives
    """


@bank.command(name="list")
@BANK
@JSON
def list_compounds(bank: Path, as_json: bool) -> None:
    """List the compounds of a bank, in the order of the logits, with their thresholds.

    Example: edged-export bank list banks/actives
    """
    with said.in_one_line():
        from export.bank.folder import load_bank, load_graph

        found = load_bank(bank)
        size = load_graph(bank).ByteSize()
    if as_json:
        said.say_json(said.summary_of(found, size))
        return
    width = max(len(compound) for compound in found.compounds)
    for member in found.members:
        thresholds = ", ".join(f"{preset} {value:.4g}" for preset, value in member.thresholds.items())
        click.echo(f"{member.compound:<{width}}  {thresholds or 'no thresholds'}")
    click.echo(f"{len(found.members)} compounds, {found.words.kind}, {found.points} points, graph of {size:,} bytes")


@bank.command()
@BANK
@click.argument("compound")
@click.argument("spectra", metavar="[SPECTRA]...", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--replace", "again", is_flag=True, help="Learn a compound anew that the bank has; without SPECTRA, from its own."
)
@click.option("--seed", type=click.IntRange(0, 2**31), default=0, show_default=True)
@OUT
@ANYWAY
@DATA
@JSON
def learn(
    bank: Path, compound: str, spectra: tuple[Path, ...], out: Path | None, data: Path | None, **options: Any
) -> None:
    """Teach a bank one compound from at least ten of its SPECTRA, files or folders in any format that edged reads.

    Nothing of the other compounds changes by a bit. What was stopped with Ctrl-C goes on where it was when the same
    command is given again. Others have never seen the newcomer: one that is named in its stead learns again, with it,
    by --replace without SPECTRA, and until then there is no bundle.

    Example: edged-export bank learn banks/actives caffeine measured/caffeine --out dist
    """
    with _at(bank):
        from export.bank import learned
        from export.bank.bundle import broken_promises
        from export.bank.newcomer import read_newcomer
        from export.bank.school import forget

        found, kit = _load(bank), _kit(bank)
        _check_name(found, compound, again=options["again"], spectra=spectra)
        newcomer = read_newcomer(compound, spectra, kit.recipe) if spectra else None
        with said.progress(options["as_json"]) as stage:
            how: dict[str, Any] = {
                "data": _data(data),
                "work": bank / LEARNING,
                "seed": options["seed"],
                "stage": stage,
            }
            if newcomer is None:
                done = learned.learn_again(found, kit, compound, **how)
            else:
                done = learned.learn(found, kit, newcomer, **how)
        told = _write(done.bank, done.kit, bank, out, anyway=options["anyway"])
        forget(done.lesson, bank / LEARNING)
    if options["as_json"]:
        said.say_json(told | {"learned": done.told.model_dump(mode="json")})
    else:
        said.say_learned(done.told)
        said.say_broken(broken_promises(done.kit), bank, out)
        said.say_written(told)
    _require_bundle(told, out)


@bank.command()
@BANK
@OUT
@ANYWAY
@JSON
def pack(bank: Path, out: Path | None, anyway: bool, as_json: bool) -> None:
    """Write the bundle of a bank as it is now; without --out, into the folder dist.

    Example: edged-export bank pack banks/actives --out dist
    """
    with _at(bank):
        from export.bank.bundle import write_bank_bundle

        written = write_bank_bundle(_load(bank), _kit(bank), out or Path("dist"), anyway=anyway)
    if as_json:
        said.say_json({"bundle": str(written.path), "digest": written.digest})
    else:
        click.echo(f"{written.path}: {len(written.manifest.compounds)} compounds, {written.size_bytes:,} bytes")


@bank.command()
@BANK
@SOURCE
@COMPOUNDS
@DATA
@JSON
def add(bank: Path, source: Path, compounds: tuple[str, ...], data: Path | None, as_json: bool) -> None:
    """Add compounds of the bank FROM behind those of BANK; without names, all that it has.

    A bank that a build has left takes compounds of its own kin only: banks of the same recipe and the same build.

    Example: edged-export bank add banks/actives banks/caffeine caffeine
    """
    with _at(bank):
        found, other = _load(bank), _load(source)
        names = compounds or other.compounds
        entered = found.with_members(found.members_of(other, names))
        _save(entered, bank, as_json, _kin(bank, entered, source, names, _data(data)))


@bank.command()
@BANK
@SOURCE
@COMPOUNDS
@DATA
@JSON
def replace(bank: Path, source: Path, compounds: tuple[str, ...], data: Path | None, as_json: bool) -> None:
    """Replace compounds of BANK by those of the bank FROM; without names, all that it has.

    Example: edged-export bank replace banks/actives banks/again lactose
    """
    with _at(bank):
        found, other = _load(bank), _load(source)
        names = compounds or other.compounds
        entered = found.with_replaced(found.members_of(other, names))
        _save(entered, bank, as_json, _kin(bank, entered, source, names, _data(data)))


@bank.command()
@BANK
@click.argument("compounds", metavar="COMPOUND...", nargs=-1, required=True)
@OUT
@ANYWAY
@JSON
def drop(bank: Path, compounds: tuple[str, ...], out: Path | None, anyway: bool, as_json: bool) -> None:
    """Take compounds out of a bank. The last one stays.

    Example: edged-export bank drop banks/actives caffeine
    """
    with _at(bank):
        from export.bank.folder import load_kit
        from export.bank.kit import raised

        left, kit = _load(bank).without(compounds), load_kit(bank)
        if kit is None:
            _refuse_out(out)
            _save(left, bank, as_json)
            return
        kit = kit.without(compounds)
        told = _write(left, kit.with_version(raised(kit.words.version)), bank, out, anyway=anyway)
    if as_json:
        said.say_json(told)
    else:
        said.say_written(told)
    _require_bundle(told, out)


@bank.command()
@BANK
@click.argument("compound")
@click.argument("preset", type=click.Choice(get_args(Preset)))
@click.argument("logit", type=float)
@DATA
@JSON
def threshold(bank: Path, compound: str, preset: Preset, logit: float, data: Path | None, as_json: bool) -> None:
    """Set the least logit at which a preset names a compound. A negative LOGIT stands behind `--`.

    Example: edged-export bank threshold banks/actives caffeine balanced 2.25
    """
    with _at(bank):
        changed = _load(bank).with_thresholds(compound, {preset: logit})
        kit, tried = _with_threshold(bank, changed, compound, preset, logit, _data(data))
        _save(changed, bank, as_json, kit, tried=None if tried is None else (preset, tried))


@bank.command()
@BANK
@JSON
def fuse(bank: Path, as_json: bool) -> None:
    """Make the graph of a bank anew, from the compounds that it has: bank.onnx in its folder, not a bundle.

    Example: edged-export bank fuse banks/actives
    """
    with _at(bank):
        from export.bank.folder import load_kit

        _save(_load(bank), bank, as_json, load_kit(bank))


@contextmanager
def _at(bank: Path) -> Iterator[None]:
    """Have a bank to oneself, and say in words what is wrong."""
    with said.in_one_line():
        from export.bank.folder import held

        with held(bank):
            yield


def _load(folder: Path) -> Bank:
    from export.bank.folder import load_bank

    return load_bank(folder)


def _save(
    bank: Bank, folder: Path, as_json: bool, kit: Kit | None = None, *, tried: tuple[Preset, Tried] | None = None
) -> None:
    """Write a bank and say so. tried: what a preset was found to do with the compound that has changed."""
    from export.bank.folder import save_bank

    graph = save_bank(bank, folder, kit)
    size = graph.stat().st_size
    if as_json:
        found = {} if tried is None else {"tried": tried[1].model_dump(mode="json")}
        said.say_json(said.summary_of(bank, size) | found)
        return
    if tried is not None:
        said.say_tried(*tried)
    click.echo(f"{folder}: {len(bank.members)} compounds, graph of {size:,} bytes")


def _kit(folder: Path) -> Kit:
    """The kit of a bank that must have one."""
    from export.bank.folder import load_kit
    from export.errors import BankUnfit

    kit = load_kit(folder)
    if kit is None:
        raise BankUnfit(
            f"{folder}: has no kit: it was made by a program, which knows neither spectra nor recipe",
            hint='build it: a recipe with scheme = "bank", docs/banks.md',
        )
    return kit


def _kin(folder: Path, bank: Bank, source: Path, names: tuple[str, ...], data: Path) -> Kit | None:
    """The kit of `bank`, which compounds of another have entered; None where it has none."""
    from export.bank.folder import load_kit
    from export.errors import BankUnfit

    kit, other = load_kit(folder), load_kit(source)
    if kit is None:
        return None
    if other is None:
        raise BankUnfit(
            f"{source}: has no kit, so nothing speaks for its compounds",
            hint="teach them to the bank: edged-export bank learn",
        )
    from export.bank.changes import entered

    return entered(bank, kit, other, names, data=data)


def _with_threshold(
    folder: Path, bank: Bank, compound: str, preset: Preset, logit: float, data: Path
) -> tuple[Kit | None, Tried | None]:
    from export.bank.folder import load_kit

    kit = load_kit(folder)
    if kit is None:
        return None, None
    from export.bank.changes import with_threshold

    return with_threshold(bank, kit, compound, preset, logit, data=data)


def _data(folder: Path | None) -> Path:
    return folder or Path(os.environ.get("EDGED_DATA") or "../shared/data")


def _check_name(bank: Bank, compound: str, *, again: bool, spectra: tuple[Path, ...]) -> None:
    from export.bank.bank import check_name
    from export.errors import BankUnfit

    check_name(compound)
    there = compound in bank.compounds
    if not there and not spectra:
        raise BankUnfit(f"{compound}: is not in the bank: it is learned from its spectra", hint="name files or folders")
    if there == again:
        return
    if again:
        raise BankUnfit(f"{compound[:80]!a}: no such compound in the bank", hint="leave --replace out")
    raise BankUnfit(f"{compound}: is in the bank", hint="--replace learns it anew")


def _refuse_out(out: Path | None) -> None:
    from export.errors import BankUnfit

    if out is not None:
        raise BankUnfit("--out: this bank has no kit, and nothing to make a bundle of", hint="leave --out out")


def _write(bank: Bank, kit: Kit, folder: Path, out: Path | None, *, anyway: bool) -> dict[str, Any]:
    """Write the bundle, where one is wanted and its promises hold, then the bank; return what people want to know."""
    from export.bank.bundle import broken_promises, write_bank_bundle
    from export.bank.folder import save_bank

    broken = broken_promises(kit)
    told: dict[str, Any] = {
        "bank": str(folder),
        "compounds": list(bank.compounds),
        "version": kit.words.version,
        "broken_promises": [asdict(one) for one in broken],
    }
    if out is not None and (anyway or not broken):
        bundle = write_bank_bundle(bank, kit, out, anyway=anyway)
        told |= {"bundle": str(bundle.path), "digest": bundle.digest, "bundle_bytes": bundle.size_bytes}
    told["graph_bytes"] = save_bank(bank, folder, kit).stat().st_size
    return told


def _require_bundle(told: dict[str, Any], out: Path | None) -> None:
    if out is not None and "bundle" not in told:
        said.leave_without_bundle(len(told["broken_promises"]))
