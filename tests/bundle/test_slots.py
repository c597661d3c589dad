from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from edged.bundle import slots as module
from edged.bundle.errors import BundleDamaged, BundleError, BundleMissing, BundleUnfit, StoreUnusable
from edged.bundle.slots import STATE_FILE, Slots
from tests.bundle.tiny import tiny_bytes

SHIPPED = module.built_ins()


@pytest.fixture(autouse=True)
def _nothing_built_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "built_ins", lambda: ())


@pytest.fixture
def slots(tmp_path: Path) -> Slots:
    return Slots(tmp_path / "state" / "bundles")


def made(tmp_path: Path, version: str, **changes: object) -> Path:
    path = tmp_path / f"download-{version}.zip"
    path.write_bytes(tiny_bytes(version=version, **changes))
    return path


def states(slots: Slots) -> dict[str, str]:
    return {entry.name: entry.state for entry in slots.entries()}


def test_an_empty_place_holds_nothing_and_says_what_to_do(slots: Slots) -> None:
    assert slots.entries() == ()
    assert not slots.folder.exists()
    with pytest.raises(BundleMissing, match="none is built in") as caught:
        slots.current()
    assert "install" in caught.value.hint


def test_what_is_installed_does_not_judge_before_it_is_activated(slots: Slots, tmp_path: Path) -> None:
    installed = slots.install(made(tmp_path, "1.0.0"))

    assert installed.path == slots.folder / "tiny-1.0.0.edgebundle"
    assert states(slots) == {"tiny-1.0.0": "installed"}
    with pytest.raises(BundleMissing):
        slots.current()

    slots.activate("tiny-1.0.0")

    assert states(slots) == {"tiny-1.0.0": "active"}
    assert slots.current().digest == installed.digest


def test_activation_keeps_the_one_before_and_rollback_swaps_them(slots: Slots, tmp_path: Path) -> None:
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        slots.install(made(tmp_path, version))
        slots.activate(f"tiny-{version}.edgebundle")

    assert states(slots) == {"tiny-1.0.0": "installed", "tiny-1.1.0": "previous", "tiny-1.2.0": "active"}
    assert slots.rollback().manifest.version == "1.1.0"
    assert slots.current().manifest.version == "1.1.0"
    assert slots.rollback().manifest.version == "1.2.0"
    assert [entry.name for entry in slots.fallbacks()] == ["tiny-1.2.0", "tiny-1.1.0"]


def test_activating_the_active_one_again_keeps_the_previous_one(slots: Slots, tmp_path: Path) -> None:
    for version in ("1.0.0", "1.1.0", "1.1.0"):
        slots.install(made(tmp_path, version))
        slots.activate(f"tiny-{version}")

    assert states(slots) == {"tiny-1.0.0": "previous", "tiny-1.1.0": "active"}


def test_rollback_from_the_first_one_returns_to_the_built_in(
    slots: Slots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = tmp_path / "shipped-0.9.0.edgebundle"
    shipped.write_bytes(tiny_bytes(name="shipped", version="0.9.0"))
    monkeypatch.setattr(module, "built_ins", lambda: (shipped,))
    slots.install(made(tmp_path, "1.0.0"))

    assert slots.current().manifest.name == "shipped"
    slots.activate("tiny-1.0.0")
    assert states(slots) == {"shipped-0.9.0": "built-in", "tiny-1.0.0": "active"}
    assert slots.rollback().manifest.name == "shipped"
    assert states(slots) == {"shipped-0.9.0": "active", "tiny-1.0.0": "previous"}
    slots.activate("shipped-0.9.0")
    assert slots.current().manifest.name == "shipped"


def test_rollback_with_nothing_before_is_refused(slots: Slots) -> None:
    with pytest.raises(BundleMissing, match="no previous bundle"):
        slots.rollback()


def test_a_version_is_installed_once_with_one_content(slots: Slots, tmp_path: Path) -> None:
    first = slots.install(made(tmp_path, "1.0.0"))

    assert slots.install(made(tmp_path, "1.0.0")).digest == first.digest
    with pytest.raises(BundleUnfit, match=r"tiny-1\.0\.0\.edgebundle is installed already with other contents"):
        slots.install(made(tmp_path, "1.0.0", metrics={"accuracy": 0.5}))


def test_an_installed_bundle_that_decayed_is_reported_and_can_be_installed_again(slots: Slots, tmp_path: Path) -> None:
    installed = slots.install(made(tmp_path, "1.0.0"))
    slots.activate("tiny-1.0.0")
    assert installed.path is not None
    installed.path.write_bytes(installed.path.read_bytes()[:-1] + b"?")

    with pytest.raises(BundleDamaged, match="damaged"):
        slots.current()
    slots.install(made(tmp_path, "1.0.0"))

    assert slots.current().digest == installed.digest


def test_a_damaged_download_leaves_the_place_as_it_was(slots: Slots, tmp_path: Path) -> None:
    path = made(tmp_path, "1.0.0")
    path.write_bytes(path.read_bytes()[:-200])

    with pytest.raises(BundleDamaged):
        slots.install(path)
    assert slots.entries() == ()


def test_names_are_looked_up_among_what_is_installed_and_never_as_paths(slots: Slots, tmp_path: Path) -> None:
    slots.install(made(tmp_path, "1.0.0"))

    for name in ("../download-1.0.0.zip", "/etc/passwd", "", "tiny", "tiny-1.0.0/../x"):
        with pytest.raises(BundleMissing, match="no bundle") as caught:
            slots.activate(name)
        assert caught.value.hint == "installed: tiny-1.0.0"


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"active": 1, "previous": null}', '{"active": "../x-1.0.0", "previous": null}', "[" * 9000],
)
def test_a_broken_pointer_file_is_refused_with_its_name(slots: Slots, text: str) -> None:
    slots.folder.mkdir(parents=True)
    (slots.folder / STATE_FILE).write_text(text)

    with pytest.raises(StoreUnusable, match=r"slots\.json") as caught:
        slots.current()
    assert caught.value.hint


def test_a_place_that_cannot_be_made_is_refused_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StoreUnusable, match="not a directory"):
        Slots(tmp_path / "file" / "bundles").install(made(tmp_path, "1.0.0"))


def test_a_write_that_fails_half_way_leaves_the_old_pointers(
    slots: Slots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for version in ("1.0.0", "1.1.0"):
        slots.install(made(tmp_path, version))
    slots.activate("tiny-1.0.0")

    def disk_full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", disk_full)
    with pytest.raises(StoreUnusable, match="no space left"):
        slots.activate("tiny-1.1.0")

    assert states(slots) == {"tiny-1.0.0": "active", "tiny-1.1.0": "installed"}
    assert sorted(path.name for path in slots.folder.iterdir()) == [
        "slots.json",
        "tiny-1.0.0.edgebundle",
        "tiny-1.1.0.edgebundle",
    ]


def test_changes_from_many_threads_leave_a_readable_state(slots: Slots, tmp_path: Path) -> None:
    for version in ("1.0.0", "1.1.0"):
        slots.install(made(tmp_path, version))
    faults: list[BundleError] = []

    def change(name: str) -> None:
        for _ in range(20):
            try:
                slots.activate(name)
                slots.rollback()
            except BundleError as error:
                faults.append(error)

    threads = [threading.Thread(target=change, args=(name,)) for name in ("tiny-1.0.0", "tiny-1.1.0")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert all("previous bundle was the built-in" in fault.message for fault in faults)
    assert set(json.loads((slots.folder / STATE_FILE).read_text())) == {"active", "previous"}


@pytest.fixture
def two_built_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The default, and one that sorts before it."""
    paths = []
    for name in (module.DEFAULT, "another"):
        paths.append(tmp_path / f"{name}-1.0.0.edgebundle")
        paths[-1].write_bytes(tiny_bytes(name=name, version="1.0.0"))
    monkeypatch.setattr(module, "built_ins", lambda: tuple(paths))
    return paths[0], paths[1]


def test_of_several_built_in_bundles_the_default_judges_and_the_others_can_be_named(
    slots: Slots, two_built_in: tuple[Path, Path]
) -> None:
    assert slots.current().manifest.name == "powders12"
    assert states(slots) == {"powders12-1.0.0": "active", "another-1.0.0": "built-in"}
    assert [entry.name for entry in slots.fallbacks()] == ["powders12-1.0.0"]
    assert slots.find("another-1.0.0") == slots.newest("another") == two_built_in[1]


def test_another_built_in_bundle_is_installed_when_it_is_activated_and_stays_when_edged_is_updated(
    slots: Slots, two_built_in: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    slots.activate("another-1.0.0")
    monkeypatch.setattr(module, "built_ins", lambda: two_built_in[:1])

    assert slots.missing() is None
    assert slots.current().manifest.name == "another"
    assert slots.current().path == slots.folder / "another-1.0.0.edgebundle"
    assert slots.rollback().manifest.name == "powders12"


def test_the_newest_of_a_name_is_by_number_and_not_by_letter(slots: Slots, tmp_path: Path) -> None:
    for version in ("1.9.0", "1.10.0", "1.2.0"):
        slots.install(made(tmp_path, version))

    assert slots.newest("tiny").stem == "tiny-1.10.0"
    assert slots.newest("tiny-1.2.0").stem == "tiny-1.2.0"
    with pytest.raises(BundleMissing):
        slots.newest("tin")


def test_a_newer_version_that_edged_ships_with_takes_no_place_of_an_installed_one(
    slots: Slots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for version in ("1.9.0", "1.10.0"):
        slots.install(made(tmp_path, version))
    shipped = [tmp_path / f"{stem}.edgebundle" for stem in ("tiny-1.11.0", "other-1.9.0", "other-1.10.0")]
    monkeypatch.setattr(module, "built_ins", lambda: tuple(shipped))

    assert slots.newest("tiny") == slots.folder / "tiny-1.10.0.edgebundle"
    assert slots.newest("tiny-1.11.0") == shipped[0]
    assert slots.newest("other") == shipped[2]
    assert module.newest_built_in("tiny") == shipped[0]
    assert module.newest_built_in("none") is None


def test_what_edged_ships_with_begins_with_the_default() -> None:
    assert SHIPPED[0].stem.startswith(f"{module.DEFAULT}-")
    assert len({path.stem for path in SHIPPED}) == len(SHIPPED)


def test_what_somebody_names_is_a_file_by_its_path_and_else_an_installed_one(slots: Slots, tmp_path: Path) -> None:
    file, installed = made(tmp_path, "1.0.0"), slots.install(made(tmp_path, "1.1.0"))
    file = file.rename(tmp_path / "tiny.edgebundle")

    assert slots.named(str(file)).manifest.version == "1.0.0"
    assert [slots.named(text).digest for text in ("tiny", "tiny-1.1.0")] == [installed.digest] * 2
    for text in ("tiny-1.0.0", "none.edgebundle", "../bundles/tiny-1.1.0", ""):
        with pytest.raises(BundleMissing):
            slots.named(text)
