"""How near banks come to the fastest int8 kernel of this core, by the shape of a compound's network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from export.bank.bank import Bank
from export.bank.fuse import fused
from export.bank.plan import Plan, plan_of
from export.bank.ranges import bank_from
from export.compare import interleaved_us, session
from export.models.catalogue import named
from export.models.resuca import ResucaWords
from export.to_onnx import OPSET
from tests.export.bank.made import prepared

NAMED: Final = ("resuca-lite", "resuca")
SIDE: Final = 1024  # of the square matrices whose product is taken for the most that this core does in int8

SHAPES: Final = (  # after the two that have names: wider channels in fewer layers
    ResucaWords(stem=32, widths=(32, 32), strides=(2, 2)),
    ResucaWords(stem=16, widths=(32, 64), strides=(2, 2)),
    ResucaWords(stem=16, widths=(64,), strides=(2,)),
    ResucaWords(stem=16, widths=(64, 64), strides=(2, 2)),
    ResucaWords(stem=16, widths=(64, 64, 64), strides=(2, 2, 2)),
    ResucaWords(stem=32, widths=(96, 96), strides=(2, 2)),
)


@dataclass(frozen=True, kw_only=True)
class Shape:
    """parameters and macs: of one compound. rate, peak: products of int8 a second, in units of 1e9, zeros that fill
    up shared groups not counted."""

    name: str
    parameters: int
    macs: int
    us: float
    rate: float
    peak: float


def shapes(compounds: int, points: int, *, rounds: int, quick: bool) -> list[Shape]:
    """Measure the named networks and SHAPES, with random weights, in turns with a large product of matrices.

    quick: one shape and small matrices.
    """
    chosen = {
        _name(words): words for words in (*(_named(name, points) for name in NAMED), *SHAPES)[: 1 if quick else None]
    }
    side = SIDE // 8 if quick else SIDE
    calls: dict[str, Callable[[], object]] = {"peak": _product(side)}
    row = prepared(1, seed=1, points=points)
    for name, words in chosen.items():
        opened = session(fused(_bank(words, compounds, points)))
        calls[name] = partial(opened.run, None, {"prepared": row})
    times = interleaved_us(calls, rounds=rounds)
    peak = side**3 / times["peak"] / 1e3
    found = []
    for name, words in chosen.items():
        macs = macs_of(plan_of(words), points)
        found.append(
            Shape(
                name=name,
                parameters=sum(value.numel() for value in words.build(points=points, classes=1).parameters()),
                macs=macs,
                us=times[name],
                rate=compounds * macs / times[name] / 1e3,
                peak=peak,
            )
        )
    return found


def macs_of(plan: Plan, points: int) -> int:
    """Return the products of one compound's convolutions for one spectrum."""
    places = plan.places_of(points)
    total = plan.stem.outputs * plan.stem.kernel * ((points + 1) // 2)
    for block in plan.blocks:
        for convolution in block.convolutions:
            total += convolution.outputs * convolution.inputs * convolution.kernel * places[convolution.writes]
    return total


def _named(name: str, points: int) -> ResucaWords:
    words = named(name, points=points)
    assert isinstance(words, ResucaWords)
    return words


def _name(words: ResucaWords) -> str:
    blocks = ", ".join(f"{width}/{stride}" for width, stride in zip(words.widths, words.strides, strict=True))
    return f"stem {words.stem}, blocks {blocks}"


def _bank(words: ResucaWords, compounds: int, points: int) -> Bank:
    network = words.build(points=points, classes=compounds).eval()
    names = [f"c{number}" for number in range(compounds)]
    return bank_from(words, network, names, prepared(2, seed=1, points=points))


def _product(side: int) -> Callable[[], object]:
    """A square product of uint8 and int8 in the kernel that convolutions of bytes use too."""
    rng = np.random.default_rng(0)
    left: NDArray[np.uint8] = rng.integers(0, 256, (side, side)).astype(np.uint8)
    right: NDArray[np.int8] = rng.integers(-64, 65, (side, side)).astype(np.int8)
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node("MatMulInteger", ["left", "right"], ["product"])],
            "product",
            [helper.make_tensor_value_info("left", TensorProto.UINT8, [side, side])],
            [helper.make_tensor_value_info("product", TensorProto.INT32, [side, side])],
            [numpy_helper.from_array(right, "right")],
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
    model.ir_version = 10
    onnx.checker.check_model(model)
    opened = session(model)
    (found,) = opened.run(None, {"left": left})
    assert np.array_equal(found[:2], left[:2].astype(np.int32) @ right.astype(np.int32))
    return partial(opened.run, None, {"left": left})
