"""The page docs/results/bank-speed.md from what `tests.bench.bank` measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.bench.bank_runtimes import MODULES, is_installed, shown_version
from tests.bench.bank_shapes import Shape
from tests.bench.bank_way import Measured
from tests.bench.bank_ways import FLOAT_SESSIONS, SESSIONS

ASKED: Final[Mapping[str, tuple[float, Callable[[Measured], float]]]] = {  # times better than a session a compound
    "latency": (3.0, lambda each: each.ms),
    "load": (15.0, lambda each: each.load_ms),
    "memory": (4.0, lambda each: each.memory_mb),
    "files, as they lie": (3.5, lambda each: each.files_mb),
    "files, in a bundle": (3.5, lambda each: each.packed_mb),
}
SHARE: Final = 0.5  # of the fastest int8 kernel, that is asked of a bank
PEERS: Final = (SESSIONS, FLOAT_SESSIONS)
HEAD = """# The bank of compounds: how fast, next to what

{compounds} compounds, {points} points, one thread of {processor};
{versions}. Latency and load are CPU time, latency
in turns and the 25 % quantile; load is from files to the first answer in a fresh process, memory the growth of its
resident set, files as they lie and as a bundle deflates them. Beside each figure: how many times ours is better; below
1, worse. Members have random weights, no two alike. Error: root mean square of the difference to torch in float, of
the deviation of the logits, middle of all compounds; random weights drown less of it than trained ones, so it compares
ways and says nothing of a bank that has learned: [bank-int8](bank-int8.md) does. Written by

```sh
python -m tests.bench.bank
```

which leaves out what is not installed; the tests need none of it: `pip install openvino ncnn pnnx litert-torch`.
"""
TARGETS = """
## What was asked

Of the fused bank next to a session a compound: to be so many times better, and to reach half of what the fastest int8
kernel does. Whether those sessions compute in int8 or in float was left open, and whether files count as they lie or in
a bundle; so all of it is here.

"""
WAYS = """
## {kind}

| way | ms | | load, ms | | memory, MB | | files, MB | | in a bundle, MB | | error, % |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|
"""
SHAPES = """
## Shapes that kernels like

The fastest int8 kernel here, a product of matrices of 1024 x 1024 in onnxruntime: {peak:.0f} GMAC/s. Banks of other
shapes next to it: channels of the stem, then channels/stride of each block. Counted are the products of the members'
own weights, not the zeros between members that share a group; the time is that of the whole graph, its float stem and
all that is not a product included. What each shape can learn is not measured here. {again}

| shape | parameters | MMAC a compound | ms | GMAC/s | of the fastest, % |
|---|--:|--:|--:|--:|--:|
"""


def page(found: Mapping[str, Sequence[Measured]], shaped: Sequence[Shape], *, compounds: int, points: int) -> str:
    """Return the page. found: by kind of network, ours first."""
    versions = ", ".join(shown_version(name) for name, (module, _) in MODULES.items() if is_installed(module))
    parts = [HEAD.format(compounds=compounds, points=points, processor=processor(), versions=versions)]
    for kind, (ours, *others) in found.items():
        parts.append(WAYS.format(kind=kind))
        parts += [_way(each, ours) for each in (ours, *others)]
    parts.append(_targets(found, shaped))
    parts.append(SHAPES.format(peak=shaped[0].peak, again=_again(found, shaped)))
    parts += [_shape(each) for each in shaped]
    return "".join(parts)


def _targets(found: Mapping[str, Sequence[Measured]], shaped: Sequence[Shape]) -> str:
    """Every target beside what was reached, in this run."""
    columns = [(kind, peer) for kind in found for peer in PEERS]
    lines = ["at least", *(f"{kind}, next to {peer}" for kind, peer in columns)]
    rows = [[f"| {' | '.join(('target', *lines))} |", "|---|--:" + "|--:" * len(columns) + "|"]]
    for what, (least, of) in ASKED.items():
        cells = []
        for kind, peer in columns:
            ours, *others = found[kind]
            other = next(each for each in others if each.name == peer)
            cells.append(_reached(of(other) / of(ours), least))
        rows.append([f"| {what} | {least:g} | {' | '.join(cells)} |"])
    best = max(shaped, key=lambda shape: shape.rate / shape.peak)
    reached = ", ".join(f"`{kind}` {100 * of.rate / of.peak:.0f} %" for kind, of in zip(found, shaped, strict=False))
    verdict = _reached(best.rate / best.peak / SHARE, 1.0).partition(", ")[2]
    last = (
        f"\nOf the fastest int8 kernel, at least {100 * SHARE:.0f} %: {verdict}. The best shape ({best.name}) reaches "
        f"{100 * best.rate / best.peak:.0f} %, {reached}.\n"
    )
    return TARGETS + "\n".join(line for row in rows for line in row) + "\n" + last


def _again(found: Mapping[str, Sequence[Measured]], shaped: Sequence[Shape]) -> str:
    """That the first shapes are the graphs of the tables, timed again, and what may lie between the two times."""
    times = ", ".join(
        f"`{kind}` {of.us / 1e3:.1f} ms here and {ways[0].ms:.1f} in its table"
        for (kind, ways), of in zip(found.items(), shaped, strict=False)
    )
    return (
        f"The first rows\nare the graphs of the tables above with other random numbers, timed minutes later: {times}.\n"
        "Other work on a machine takes the shared cache from a bank and hardly slows a product of matrices, so that a "
        "busy run\ntells too small a share."
    )


def _reached(times: float, least: float) -> str:
    return f"{times:.2f}, {'met' if times >= least else '**missed**'}"


def _way(each: Measured, ours: Measured) -> str:
    pairs = (
        (each.ms, ours.ms, 1),
        (each.load_ms, ours.load_ms, 0),
        (each.memory_mb, ours.memory_mb, 0),
        (each.files_mb, ours.files_mb, 1),
        (each.packed_mb, ours.packed_mb, 1),
    )
    name = f"**{each.name}**" if each is ours else each.name
    cells = [f"{value:,.{digits}f} | {'' if each is ours else f'{value / own:.2f}'}" for value, own, digits in pairs]
    return f"| {name} | {' | '.join(cells)} | {100 * each.error:.2g} |\n"


def _shape(each: Shape) -> str:
    share = 100 * each.rate / each.peak
    cells = (
        f"{each.parameters:,}",
        f"{each.macs / 1e6:.1f}",
        f"{each.us / 1e3:.1f}",
        f"{each.rate:.0f}",
        f"{share:.0f}",
    )
    return f"| {each.name} | {' | '.join(cells)} |\n"


def processor() -> str:
    """The name of this processor and what it multiplies bytes with."""
    lines = dict(line.split(":", 1) for line in Path("/proc/cpuinfo").read_text().splitlines() if ":" in line)
    facts = {key.strip(): value.strip() for key, value in lines.items()}
    flags = [name for name in ("avx2", "avx_vnni", "avx512_vnni", "asimddp", "i8mm") if name in _flags(facts)]
    return f"{facts.get('model name', 'an unnamed processor')} ({', '.join(flags)})"


def _flags(facts: Mapping[str, str]) -> list[str]:
    return (facts.get("flags") or facts.get("Features") or "").split()
