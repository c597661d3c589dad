"""Adds up what several runs of pytest did: `python tests/tally.py SECONDS FILE.xml...` prints one line."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree


def tally(reports: list[Path]) -> dict[str, int]:
    """Return how many tests passed, failed and were skipped; a missing file counts as a failure."""
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for report in reports:
        if not report.is_file():
            counts["failed"] += 1
            continue
        for suite in ElementTree.parse(report).iter("testsuite"):
            failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
            skipped = int(suite.get("skipped", 0))
            counts["failed"] += failed
            counts["skipped"] += skipped
            counts["passed"] += int(suite.get("tests", 0)) - failed - skipped
    return counts


if __name__ == "__main__":
    minutes, seconds = divmod(int(sys.argv[1]), 60)
    counted = tally([Path(name) for name in sys.argv[2:]])
    print(", ".join(f"{count} {what}" for what, count in counted.items()) + f" in {minutes} min {seconds} s")
