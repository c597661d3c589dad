"""The SQLite file behind journal, outbox and retention: opening, schema, and errors in our words.

A `Database` lives on the thread that opened it. WAL with synchronous=FULL: with NORMAL a power cut loses rows that were
already acknowledged.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from edged.store.errors import StoreBusy, StoreDamaged, StoreDenied, StoreError, StoreForeign, StoreFull

APPLICATION_ID = 0x65646764  # "edgd": tells our file from any other SQLite database
LOG_BYTES = 8 * 2**20  # what the write-ahead log keeps on disk once a long reader, such as `verify`, let it shrink
BUSY_MS = 5_000  # a reader of the command line holds no lock for longer

MIGRATIONS = (  # user_version n is reached by MIGRATIONS[n - 1]; never edit one that was released, add the next
    """
    CREATE TABLE records (
        seq     INTEGER PRIMARY KEY,
        id      TEXT NOT NULL UNIQUE,
        kind    TEXT NOT NULL,
        station TEXT,
        serial  TEXT,
        wall    TEXT NOT NULL,
        clock   TEXT NOT NULL,
        hash    TEXT NOT NULL,
        body    BLOB NOT NULL
    );
    CREATE INDEX records_by_kind ON records (kind, station, serial, seq);
    CREATE INDEX records_by_time ON records (wall) WHERE clock = 'synced';
    CREATE TABLE attachments (
        seq    INTEGER NOT NULL REFERENCES records (seq),
        name   TEXT NOT NULL,
        size   INTEGER NOT NULL,
        data   BLOB,
        PRIMARY KEY (seq, name)
    );
    CREATE INDEX attachments_held ON attachments (seq, name, size) WHERE data IS NOT NULL;
    CREATE TABLE outbox (seq INTEGER PRIMARY KEY REFERENCES records (seq));
    CREATE TRIGGER records_never_change BEFORE UPDATE ON records
        BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;
    CREATE TRIGGER records_never_go BEFORE DELETE ON records
        BEGIN SELECT RAISE(ABORT, 'records are append-only'); END;
    CREATE TRIGGER records_follow BEFORE INSERT ON records
        WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM records)
        BEGIN SELECT RAISE(ABORT, 'records follow each other without a gap'); END;
    CREATE TRIGGER attachments_only_lose_data BEFORE UPDATE ON attachments
        WHEN NEW.seq IS NOT OLD.seq OR NEW.name IS NOT OLD.name OR NEW.size IS NOT OLD.size OR NEW.data IS NOT NULL
        BEGIN SELECT RAISE(ABORT, 'attachments are append-only'); END;
    CREATE TRIGGER attachments_never_go BEFORE DELETE ON attachments
        BEGIN SELECT RAISE(ABORT, 'attachments are append-only'); END;
    """,
)
CACHE = """
    CREATE TABLE IF NOT EXISTS drift (
        key  TEXT PRIMARY KEY,
        body BLOB NOT NULL
    )
"""  # of no edition: it can be made again from the records, and whoever only reads them does without


class Database:
    """One connection to one journal file. Not to be shared between threads."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self.read_only = read_only
        with self.errors("open"):
            self._connection = _connect(path, read_only=read_only)
        try:
            with self.errors("open"):
                self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Close the file; closing twice is fine."""
        self._connection.close()

    def execute(self, sql: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
        """Run one statement. Call it inside `errors` or `transaction`."""
        return self._connection.execute(sql, values)

    def execute_many(self, sql: str, rows: list[tuple[object, ...]]) -> None:
        """Run one statement for each row. Call it inside `transaction`."""
        self._connection.executemany(sql, rows)

    @contextmanager
    def transaction(self, doing: str) -> Iterator[None]:
        """All or nothing; when the block has ended without an exception, its writes are on disk."""
        with self.errors(doing):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # a full disk may have rolled it back already
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def errors(self, doing: str) -> Iterator[None]:
        """Turn what SQLite raises inside the block into a StoreError that names the file and what we were doing."""
        try:
            yield
        except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
            raise  # the callers' business, or our own bug
        except sqlite3.Error as error:
            raise _translated(error, self.path, doing) from error

    def unused_bytes(self) -> int:
        """Return the room inside the file that can be filled again without growing it."""
        with self.errors("read"):
            pages = self.execute("PRAGMA freelist_count").fetchone()[0]
            return int(pages) * int(self.execute("PRAGMA page_size").fetchone()[0])

    def _prepare(self) -> None:
        c = self._connection
        version = int(c.execute("PRAGMA user_version").fetchone()[0])
        application = int(c.execute("PRAGMA application_id").fetchone()[0])
        tables = int(c.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
        if application != APPLICATION_ID and (tables or version or application):
            raise StoreForeign(
                f"{self.path}: an SQLite database, but not a journal of edged",
                hint="give another path for the journal",
            )
        if version > len(MIGRATIONS):
            raise StoreForeign(
                f"{self.path}: journal of edition {version}; this program knows {len(MIGRATIONS)}",
                hint="it was written by a later version of edged: install that one or a later one",
            )
        c.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
        if self.read_only:
            if version < len(MIGRATIONS):
                raise StoreForeign(
                    f"{self.path}: journal of edition {version}, not yet brought up to {len(MIGRATIONS)}",
                    hint="start the daemon once; it brings the journal up to date",
                )
            c.execute("PRAGMA query_only = ON")
            return
        mode = c.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise StoreDenied(
                f"{self.path}: no write-ahead log possible on this file system (mode {mode})",
                hint="keep the journal on a local disk",
            )
        c.execute("PRAGMA synchronous = FULL")
        c.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")
        c.execute("PRAGMA foreign_keys = ON")
        for edition, script in enumerate(MIGRATIONS[version:], start=version + 1):
            try:
                c.executescript(
                    f"BEGIN IMMEDIATE; {script}; PRAGMA application_id = {APPLICATION_ID};"
                    f" PRAGMA user_version = {edition}; COMMIT;"
                )
            except sqlite3.Error:
                if c.in_transaction:
                    c.execute("ROLLBACK")
                raise
        c.execute(CACHE)


def _connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    where = f"file:{quote(str(path.absolute()))}"
    if not path.parent.is_dir():
        raise StoreDenied(f"{path}: no directory {path.parent}", hint="create it, or give another path for the journal")
    if path.is_dir():
        raise StoreDenied(f"{path}: a directory, not a file", hint="give the path of the journal's file")
    if read_only and not path.exists():
        raise StoreDenied(f"{path}: no such journal", hint="it appears when the daemon starts for the first time")
    if not read_only:
        return sqlite3.connect(f"{where}?mode=rwc", uri=True, isolation_level=None)
    connection = sqlite3.connect(f"{where}?mode=ro", uri=True, isolation_level=None)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        connection.close()
        if Path(f"{path}-wal").exists():
            raise
        # nobody has it open and we may not create the files of the write-ahead log: then it cannot change either
        connection = sqlite3.connect(f"{where}?mode=ro&immutable=1", uri=True, isolation_level=None)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _translated(error: sqlite3.Error, path: Path, doing: str) -> StoreError:
    name = getattr(error, "sqlite_errorname", "") or ""
    text = f"{path}: cannot {doing}: {error}"
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreBusy(text, hint="another process holds the journal; is a second daemon running?")
    if name.startswith("SQLITE_FULL") or name == "SQLITE_IOERR_SHMSIZE":
        return StoreFull(text, hint=f"make room on the disk of {path.parent}")
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")):
        return StoreDenied(text, hint=f"the service's user must be able to write {path.parent} and {path.name} in it")
    if name.startswith("SQLITE_NOTADB"):
        return StoreForeign(text, hint="this file is not a journal; give another path, or move it away")
    if name.startswith("SQLITE_CORRUPT"):
        return StoreDamaged(text, hint="keep the file as evidence, move it away with its -wal and -shm, start anew")
    if name.startswith("SQLITE_IOERR"):
        return StoreDenied(text, hint="the disk reports errors: look at the kernel's log")
    return StoreError(text)
