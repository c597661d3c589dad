"""The names of the candidates, the simplest first: among equals the earlier one is chosen.

float         nothing is quantised; the yardstick
weights       int8 in the file, Cast and Mul in the graph; folded to float when the session is made
dynamic       products by integer kernels, each input scaled as it comes: MatMul, Gemm, LSTM, and GRU step by step
scan          the same, with each GRU as one Scan over its steps
static-s8s8   Conv, Gemm and MatMul between QuantizeLinear and DequantizeLinear with fixed scales; signed activations
static-u8s8   the same with unsigned activations
aware         the fixed scales that training with rounding in the loop has found
"""

from __future__ import annotations

from typing import Literal, get_args

Scheme = Literal["float", "weights", "dynamic", "scan", "static-s8s8", "static-u8s8", "aware"]
Wanted = Literal[Scheme, "auto"]  # one literal: a wrong word is one mistake
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)
DERIVED: tuple[Scheme, ...] = tuple(scheme for scheme in SCHEMES if scheme != "aware")
"""What can be made from a float graph alone."""
