"""Run one stage of a build of components by its name, on one thread of every numerical library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from export.components.job import ComponentsJob
from export.progress import Report


def perform(stage: str, job: ComponentsJob, out: Path, progress: Report) -> dict[str, Any]:
    """Run one stage and return what to say of it. Each is imported when it is reached."""
    with threadpool_limits(1):  # small systems of equations are slower on many threads, and the builder's sums differ
        return _perform(stage, job, out, progress)


def _perform(stage: str, job: ComponentsJob, out: Path, progress: Report) -> dict[str, Any]:
    match stage:
        case "train":
            from export.components.stages import train

            return train(job, progress)
        case "calibrate":
            from export.components.stages import calibrate

            return calibrate(job)
        case "convert":
            from export.components.stages import convert

            return convert(job)
        case "quantise":
            from export.components.stages import quantise

            return quantise(job)
        case "verify":
            from export.components.stages import verify

            return verify(job)
        case "trial":
            from export.components.trial import trial

            return trial(job, progress)
        case "report":
            from export.components.report import report

            return report(job)
        case "pack":
            from export.components.pack import pack

            bundle = pack(job, out)
            return {"bundle": str(bundle.path), "digest": bundle.digest, "size_bytes": bundle.size_bytes}
    raise AssertionError(stage)
