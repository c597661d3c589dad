"""A bank on disk: what is written is read, and what has been damaged is told, file by file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.bank.bank import MAX_NUMBERS, Bank, Member
from export.bank.folder import load_bank, load_graph, save_bank
from export.errors import BankDamaged, BankUnfit
from tests.export.bank.made import SHARED, SMALL, bank, logits, prepared

NAMES = ("lactose", "caffeine", "ascorbic acid")
kinds = pytest.mark.parametrize("words", [SMALL, SHARED], ids=["whole networks", "heads on one trunk"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_bank(bank(NAMES, seed=1), tmp_path / "bank")
    return tmp_path / "bank"


def edit(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / "bank.json"
    index = json.loads(path.read_text())
    change(index)
    path.write_text(json.dumps(index))


def numbers_of(folder: Path, compound: str) -> Path:
    index = json.loads((folder / "bank.json").read_text())
    digest = next(entry["numbers"] for entry in index["members"] if entry["compound"] == compound)
    return folder / "members" / f"{digest}.f32"


@kinds
def test_a_bank_is_read_as_it_was_written(words: Any, tmp_path: Path) -> None:
    made = bank(NAMES, seed=1, words=words).with_thresholds("caffeine", {"balanced": 1.25, "confirm": -0.5})

    save_bank(made, tmp_path)

    read = load_bank(tmp_path)
    assert read.compounds == NAMES
    assert (read.words, read.points, read.input_range) == (made.words, made.points, made.input_range)
    assert read.member("caffeine").thresholds == {"balanced": 1.25, "confirm": -0.5}
    assert all(np.array_equal(a.numbers, b.numbers) for a, b in zip(read.members, made.members, strict=True))
    assert (read.trunk is None) == (words is SMALL)
    if made.trunk is not None and read.trunk is not None:
        assert np.array_equal(read.trunk, made.trunk)
    spectra = prepared(4, seed=3)
    with_torch = made.network()
    assert logits(load_graph(tmp_path), spectra).shape == (4, 3)
    assert all(
        np.array_equal(a, b)
        for a, b in zip(with_torch.state_dict().values(), read.network().state_dict().values(), strict=True)
    )


def test_a_change_writes_one_member_and_leaves_the_files_of_the_others(folder: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in (folder / "members").iterdir()}
    read = load_bank(folder)
    entering = bank(["caffeine"], seed=7).members

    save_bank(read.with_replaced(entering), folder)

    after = {path.name: path.stat().st_mtime_ns for path in (folder / "members").iterdir()}
    assert len(after) == 3
    assert len(before.items() & after.items()) == 2


def test_a_threshold_changes_no_byte_of_the_graph(folder: Path) -> None:
    before = (folder / "bank.onnx").read_bytes()

    save_bank(load_bank(folder).with_thresholds("lactose", {"screen": -2.0}), folder)

    assert (folder / "bank.onnx").read_bytes() == before


def test_a_process_that_died_before_the_index_leaves_the_bank_as_it_was(folder: Path, tmp_path: Path) -> None:
    index = (folder / "bank.json").read_bytes()
    save_bank(load_bank(folder).with_members(bank(["newcomer"], seed=7).members), folder)
    (folder / "bank.json").write_bytes(index)

    assert load_bank(folder).compounds == NAMES
    with pytest.raises(BankDamaged, match=r"bank\.onnx: not the graph of these compounds .*edged-export bank fuse"):
        load_graph(folder)


def test_where_there_is_no_bank_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(BankUnfit, match=r"nothing: no bank here \(a bank is a folder with a bank.json\)"):
        load_bank(tmp_path / "nothing")


def test_a_flipped_bit_a_short_file_a_long_one_and_a_missing_one_are_told_with_the_compound(folder: Path) -> None:
    path = numbers_of(folder, "caffeine")
    whole = path.read_bytes()

    for content, said in (
        (bytes([whole[0] ^ 1]) + whole[1:], "caffeine: the content has changed since it was written"),
        (whole[:-4], f"caffeine: {len(whole) - 4:,} bytes; the network has {len(whole):,}"),
        (whole + b"\0", f"larger than {len(whole):,} bytes"),
    ):
        path.write_bytes(content)
        with pytest.raises(BankDamaged, match=said):
            load_bank(folder)
    path.unlink()
    with pytest.raises(BankDamaged, match="caffeine: no such file or directory"):
        load_bank(folder)


def test_a_damaged_file_is_written_anew_by_the_next_save(folder: Path) -> None:
    whole = load_bank(folder)
    numbers_of(folder, "caffeine").write_bytes(b"\0" * whole.members[0].numbers.nbytes)

    save_bank(whole, folder)

    assert load_bank(folder).compounds == NAMES


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda index: index.update(schema=2), r"bank\.json: schema: "),
        (lambda index: index.update(colour="red"), "colour: Extra inputs are not permitted"),
        (lambda index: index["members"][0].update(numbers="../../secret"), "members.0.numbers: String should match"),
        (lambda index: index.update(members=[]), "members: Tuple should have at least 1 item"),
        (lambda index: index.update(members=index["members"] * 400), "members: Tuple should have at most 1024 items"),
        (lambda index: index.update(input_range=0), "input_range: Input should be greater than 0"),
        (lambda index: index.update(points=7), "network.kind: 7 points are too few"),
        (lambda index: index["members"][1].update(compound="lactose"), "lactose: in the bank twice"),
        (lambda index: index["members"][1].update(compound="a\nb"), "1 to 64 printable characters"),
        (lambda index: index["members"][1]["thresholds"].update(always=1.0), "members.1.thresholds.always"),
        (lambda index: index["members"][1]["thresholds"].update(screen=1e300), "members.1.thresholds.screen"),
        (lambda index: index.update(trunk="0" * 64), "trunk: resuca has none"),
        (lambda index: index["network"].update(kind="deepcid"), "network: Input tag 'deepcid'"),
        (lambda index: index["network"].update(widths=[8, 16]), "bytes; the network has"),
        (
            lambda index: index.update(
                network={"kind": "resuca", "widths": [512] * 12, "strides": [1] * 12},
                members=[{**index["members"][0], "compound": f"c{n}"} for n in range(8)],
            ),
            f"at most {MAX_NUMBERS:,} fit",
        ),
    ],
    ids=lambda value: None if isinstance(value, str) else "",
)
def test_an_index_that_says_what_cannot_be_is_refused(
    folder: Path, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    edit(folder, change)

    with pytest.raises(BankDamaged, match=said):
        load_bank(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"null", b"{}" * 10, b" " * (5 << 20)])
def test_an_index_that_is_none_is_refused(folder: Path, content: bytes) -> None:
    (folder / "bank.json").write_bytes(content)

    with pytest.raises(BankDamaged, match=r"bank\.json: "):
        load_bank(folder)


@pytest.mark.parametrize(
    ("value", "place", "said"),
    [
        (np.nan, 0, "holds a number that is not finite, or beyond 1e[+]12"),
        (np.inf, 5, "holds a number that is not finite"),
        (1e20, 5, "holds a number that is not finite, or beyond 1e[+]12"),
    ],
)
def test_numbers_that_no_network_holds_are_refused(value: float, place: int, said: str) -> None:
    made = bank(NAMES, seed=1)
    numbers = made.members[0].numbers.copy()
    numbers[place] = value

    with pytest.raises(BankUnfit, match=f"odd: {said}"):
        made.with_members([Member(compound="odd", numbers=numbers)])


def test_a_negative_variance_and_a_negative_range_are_refused(folder: Path) -> None:
    made = bank(NAMES, seed=1)
    weights, norm = 8 * 7, 8  # of the stem; its normalisation has gain, lift, mean, variance
    for place, name in (
        (weights + 3 * norm, "stem.1.running_var"),
        (len(made.members[0].numbers) - 1, "blocks.1/largest"),
    ):
        numbers = made.members[0].numbers.copy()
        numbers[place] = -1.0
        with pytest.raises(BankUnfit, match=f"odd: {name} is negative"):
            made.with_members([Member(compound="odd", numbers=numbers)])


def test_members_of_a_bank_that_does_not_agree_do_not_enter() -> None:
    ours = bank(NAMES, seed=1)

    for other, said in (
        (bank(["x"], seed=2, words=SMALL.model_copy(update={"stem": 16})), "network: "),
        (bank(["x"], seed=2, input_range=10.0), "input_range: 10.0 there, 20.0 here"),
        (bank(["x"], seed=2, words=SHARED), "network: "),
    ):
        with pytest.raises(BankUnfit, match=said):
            ours.members_of(other, ["x"])


def test_a_head_enters_the_trunk_it_was_trained_on_and_no_other() -> None:
    ours, other = bank(NAMES, seed=1, words=SHARED), bank(["x"], seed=2, words=SHARED)
    same = Bank(
        words=ours.words, points=ours.points, input_range=ours.input_range, trunk=ours.trunk, members=other.members
    )

    assert ours.members_of(same, ["x"])[0].compound == "x"
    with pytest.raises(BankUnfit, match=r"trunk: another one there \(a head fits the trunk it was trained on"):
        ours.members_of(other, ["x"])


def test_what_is_not_there_is_named_with_what_is() -> None:
    made = bank(NAMES, seed=1)

    for act in (lambda: made.without(["aspirin"]), lambda: made.with_thresholds("aspirin", {"screen": 0.0})):
        with pytest.raises(
            BankUnfit, match=r"'aspirin': no such compound .*there are lactose, caffeine, ascorbic acid"
        ):
            act()
    with pytest.raises(BankUnfit, match="caffeine: in the bank twice"):
        made.with_members([made.members[1]])
    with pytest.raises(BankUnfit, match="0 compounds; a bank has 1 to 1024"):
        made.without(NAMES)
