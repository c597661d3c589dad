"""What the journal keeps of an instrument: its references and self tests, found again after a restart.

One that is damaged is passed over, and so is what is older: what was replaced does not hold again because of that. The
station then wants a new one, as if it had none, and `References.damaged` says why. Runs on the store's thread.
"""

from __future__ import annotations

from edged.acquire.gate import SelfTests, SelfTestState
from edged.acquire.references import Reference, Role, unpack_spectrum
from edged.service.pipeline import KIND_OF, SPECTRUM, Kept, References, reference_from
from edged.service.selftests import MOST_LOOKED_AT, selftest_from
from edged.spectra.spectrum import SpectrumError
from edged.spectra.standards.outcome import Subject
from edged.store.errors import StoreDamaged
from edged.store.journal import Journal

ROLES: tuple[Role, ...] = ("white", "dark")
_NAMES = {"white": "the white reference", "dark": "the dark reference", "selftest": "a self test"}
_CURES = {
    "white": "edged measure {} --reference",
    "dark": "edged measure {} --dark",
    "selftest": "edged selftest {}",
}


def find_references(journal: Journal, *, station: str, serial_number: str) -> References:
    """Return what is kept of that instrument there. Raises StoreError where the journal cannot be searched."""
    found: dict[Role, Reference | None] = {}
    damaged: dict[Kept, str] = {}
    for role in ROLES:
        newest = journal.newest(kind=KIND_OF[role], station=station, serial_number=serial_number, limit=1)
        for seq in newest:
            try:
                found[role] = _reference(journal, seq)
            except (StoreDamaged, SpectrumError) as error:
                damaged[role] = _told(role, station, seq, error)
    tests, spoilt = _selftests(journal, station, serial_number)
    if spoilt:
        damaged["selftest"] = spoilt
    return References(white=found.get("white"), dark=found.get("dark"), selftests=tests, damaged=damaged)


def _selftests(journal: Journal, station: str, serial_number: str) -> tuple[SelfTests, str]:
    """Return the latest self test of each subject, and what is wrong with a damaged one: as long as it hides any."""
    found: dict[Subject, SelfTestState] = {}
    hidden: dict[Subject, str] = {}
    spoilt = ""
    for seq in journal.newest(kind="selftest", station=station, serial_number=serial_number, limit=MOST_LOOKED_AT):
        try:
            state = selftest_from(journal.record(seq))
        except StoreDamaged as error:
            spoilt = spoilt or _told("selftest", station, seq, error)
            continue
        if not spoilt:
            found.setdefault(state.subject, state)
        elif state.subject not in found:
            hidden.setdefault(state.subject, state.material)
    if hidden:
        return found, f"{spoilt}, with {', '.join(hidden.values())}"
    return found, "" if found else spoilt


def _reference(journal: Journal, seq: int) -> Reference | None:
    record = journal.record(seq)
    data = journal.attachment(record.id, SPECTRUM)
    return None if data is None else reference_from(record, unpack_spectrum(data))


def _told(kept: Kept, station: str, seq: int, error: StoreDamaged | SpectrumError) -> str:
    where = "" if error.message.startswith(f"record {seq}") else f"record {seq}: "
    return f"{_NAMES[kept]} is damaged: {where}{error.message}; take it again: {_CURES[kept].format(station)}"
