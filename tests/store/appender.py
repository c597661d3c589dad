"""Appends to the journal named on the command line for ever, and tells each record that `append` returned."""

from __future__ import annotations

import sys
from pathlib import Path

from edged.store.journal import Journal
from tests.store.drafts import draft


def main() -> None:
    with Journal.open(Path(sys.argv[1])) as journal:
        while True:
            record = journal.append(draft(), attachments={"scan": b"x" * 5000})
            sys.stdout.write(f"{record.seq} {record.id}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
