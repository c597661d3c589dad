"""What this machine's processor can do for integer products, from /proc/cpuinfo."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TypedDict

CPUINFO = Path("/proc/cpuinfo")
INTEGER_FEATURES = (  # x86-64, then AArch64; those that choose the kernels of onnxruntime
    "avx2",
    "avx_vnni",
    "avx512f",
    "avx512bw",
    "avx512_vnni",
    "avx512_bf16",
    "amx_int8",
    "asimd",
    "asimddp",
    "i8mm",
    "sve",
)


class Processor(TypedDict):
    """machine: as the kernel names it. features: those of INTEGER_FEATURES that it has."""

    machine: str
    model: str
    features: list[str]


def processor(cpuinfo: str | None = None) -> Processor:
    """Describe the processor of this machine, or the one that a text of /proc/cpuinfo tells of."""
    text = CPUINFO.read_text("utf-8", errors="replace") if cpuinfo is None else cpuinfo
    fields: dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip().lower(), value.strip())
    found = set((fields.get("flags") or fields.get("features") or "").split())
    model = fields.get("model name") or fields.get("model") or fields.get("cpu part", "unknown")
    return Processor(
        machine=platform.machine(), model=model[:80], features=[name for name in INTEGER_FEATURES if name in found]
    )
