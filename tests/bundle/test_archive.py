from __future__ import annotations

import hashlib
import io
import json
import os
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.bundle import archive
from edged.bundle.archive import (
    SEAL,
    bundle_bytes,
    bundle_from_bytes,
    pack_golden,
    read_bundle,
    seal,
    write_bundle,
)
from edged.bundle.errors import BundleDamaged, BundleError, BundleMissing, BundleUnfit
from tests.bundle.tiny import GOLDEN, TABLE, fields, files, judged, resealed, tiny_bytes

WHOLE = tiny_bytes()


def members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def with_manifest(**changes: Any) -> bytes:
    """A sealed bundle whose manifest was changed after it was validated."""
    parts = members(WHOLE)
    manifest = json.loads(parts["manifest.json"]) | changes
    return seal(parts | {"manifest.json": json.dumps(manifest).encode()})


def refusal(data: bytes) -> BundleError:
    with pytest.raises(BundleError) as caught:
        bundle_from_bytes(data)
    assert caught.value.message
    assert caught.value.hint
    return caught.value


def test_a_bundle_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "tiny-1.2.3.edgebundle"

    write_bundle(path, fields(), files(LICENSE_txt=b"MIT"))
    read = read_bundle(path)

    assert read.manifest.name == "tiny"
    assert read.model == files()["model.onnx"]
    assert read.report == b"<p>report</p>"
    assert read.license_text == "MIT"
    np.testing.assert_array_equal(read.golden["spectra"], GOLDEN)
    np.testing.assert_array_equal(read.golden["logits"], GOLDEN @ TABLE)
    assert read.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert read.path == path
    assert read.file_name == "tiny-1.2.3.edgebundle"
    assert list(tmp_path.iterdir()) == [path]


def test_equal_contents_give_equal_bytes_whatever_the_order_and_the_time() -> None:
    backwards = dict(reversed(files().items()))

    assert bundle_bytes(fields(), backwards) == WHOLE
    with zipfile.ZipFile(io.BytesIO(WHOLE)) as opened:
        assert {info.date_time for info in opened.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert opened.testzip() is None


def test_golden_vectors_may_come_from_numpy_compressed_and_in_either_order() -> None:
    logits = GOLDEN @ TABLE
    made = io.BytesIO()
    np.savez_compressed(made, spectra=np.asfortranarray(GOLDEN), logits=logits, features=logits)

    read = bundle_from_bytes(bundle_bytes(fields(), files(golden_npz=made.getvalue())))

    np.testing.assert_array_equal(read.golden["spectra"], GOLDEN)
    assert not read.golden["spectra"].flags.writeable


@pytest.mark.parametrize("bit", [0, 7])
def test_one_flipped_bit_in_any_byte_is_found(bit: int) -> None:
    for position in range(len(WHOLE)):
        damaged = bytearray(WHOLE)
        damaged[position] ^= 1 << bit

        error = refusal(bytes(damaged))

        assert isinstance(error, BundleDamaged), position
        assert "copy or download" in error.hint


def test_a_bundle_cut_short_anywhere_is_refused() -> None:
    for length in range(0, len(WHOLE), 7):
        assert isinstance(refusal(WHOLE[:length]), BundleDamaged)


def test_a_flipped_byte_is_told_with_the_name_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.edgebundle"
    path.write_bytes(WHOLE[:100] + bytes([WHOLE[100] ^ 1]) + WHOLE[101:])

    with pytest.raises(BundleDamaged, match=re.escape(f"{path}: damaged: its bytes have SHA-256")) as caught:
        read_bundle(path)
    assert caught.value.hint == "copy or download the file again"


def test_a_missing_file_a_folder_and_a_closed_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(BundleMissing, match="no such file"):
        read_bundle(tmp_path / "none.edgebundle")
    with pytest.raises(BundleMissing, match="is a folder"):
        read_bundle(tmp_path)
    with pytest.raises(BundleError):
        read_bundle(tmp_path / "\0")


def test_a_file_too_large_is_refused_without_reading_it_all(tmp_path: Path) -> None:
    path = tmp_path / "big.edgebundle"
    path.touch()
    os.truncate(path, archive.MAX_FILE_BYTES + 5)

    with pytest.raises(BundleDamaged, match="larger than 64 MiB"):
        read_bundle(path)


def test_a_sealed_zip_bomb_is_refused_by_its_unpacked_size() -> None:
    parts = members(WHOLE)
    bomb = seal(parts | {"report.html": bytes((32 << 20) + 1)})

    assert len(bomb) < 100_000
    assert "report.html is larger than 32 MiB unpacked" in refusal(bomb).message


def test_a_member_that_lies_about_its_size_is_refused() -> None:
    parts = members(WHOLE)
    body = bytearray(seal(parts | {"report.html": bytes(1_000_000)})[:-64])
    claimed = (1_000_000).to_bytes(4, "little")
    assert body.count(claimed) == 2

    lying = resealed(bytes(body).replace(claimed, (10).to_bytes(4, "little")))

    assert isinstance(refusal(lying), BundleError)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"evil.so": b"x"}, "unknown member 'evil.so'"),
        ({"../report.html": b"x"}, "unknown member '../report.html'"),
        ({"a": b"", "b": b"", "c": b"", "d": b""}, "8 members; at most 7"),
    ],
)
def test_names_outside_the_known_set_are_refused(extra: dict[str, bytes], message: str) -> None:
    assert message in refusal(seal(members(WHOLE) | extra)).message


def test_a_member_that_is_there_twice_is_refused() -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as opened:
        opened.writestr("report.html", b"one")
        opened.writestr("report.htmX", b"two")
        opened.comment = SEAL + b"0" * 64
    body = made.getvalue()[:-64].replace(b"report.htmX", b"report.html")

    assert "report.html is there twice" in refusal(resealed(body)).message


def test_a_name_that_hides_its_end_behind_a_null_is_refused() -> None:
    body = seal({"report.html?": b"x"})[:-64].replace(b"report.html?", b"report.html\0")

    assert "unknown member" in refusal(resealed(body)).message


def test_a_missing_member_is_named() -> None:
    parts = members(WHOLE)
    del parts["golden.npz"]

    assert "missing: golden.npz" in refusal(seal(parts)).message


def test_a_member_that_was_exchanged_and_sealed_again_breaks_its_digest() -> None:
    error = refusal(seal(members(WHOLE) | {"model.onnx": b"other"}))

    assert "model.onnx does not have the digest" in error.message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"surprise": 1}, "surprise: Extra inputs"),
        ({"version": "1"}, "version"),
        ({"name": "../up"}, "name"),
        ({"classes": [{"label": "A", "title": "A"}]}, "at least two"),
        ({"default_preset": "screen"}, "default_preset: screen is none of ['balanced', 'confirm']"),
        ({"procedures": ["components"]}, "components: the table and the procedure of that name need each other"),
        ({"axis": {"unit": "nm", "start": 2.0, "stop": 1.0, "points": 8}}, "start must be under stop"),
        ({"digests": {}}, "digests and members differ"),
        ({"tool_versions": {"x": "\x1b[31m"}}, "control characters"),
        ({"data_sheet": {"x": "\ud800"}}, "control characters"),
    ],
)
def test_a_manifest_that_breaks_a_rule_is_refused_with_the_rule(changes: dict[str, Any], message: str) -> None:
    assert message in refusal(with_manifest(**changes)).message


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "manifest.json: Expecting value"),
        (b"[" * 100_000, "nested deeper than 32"),
        (b'{"a":' * 40 + b"1" + b"}" * 40, "nested deeper than 32"),
        (b'{"a": 1, "a": 2}', "occurs twice"),
        (b'{"a": NaN}', "NaN is not a JSON number"),
        (b"\xff\xfe", "manifest.json"),
        (b'{"a": ' + b"9" * 5000 + b"}", "manifest.json"),
        (b"[]", "manifest"),
    ],
)
def test_a_manifest_that_is_no_honest_json_is_refused(raw: bytes, message: str) -> None:
    assert message in refusal(seal(members(WHOLE) | {"manifest.json": raw})).message


def golden_zip(**arrays: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as opened:
        for name, raw in arrays.items():
            opened.writestr(f"{name}.npy", raw)
    return made.getvalue()


def npy(array: np.ndarray[Any, Any]) -> bytes:
    made = io.BytesIO()
    np.save(made, array)
    return made.getvalue()


def header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


LOGITS = npy(GOLDEN @ TABLE)


@pytest.mark.parametrize(
    ("golden", "message"),
    [
        (b"no zip", "golden.npz: not a readable archive"),
        (golden_zip(spectra=npy(GOLDEN)), "golden.npz: missing: logits.npy, features.npy"),
        (golden_zip(spectra=npy(GOLDEN), logits=LOGITS, features=LOGITS, more=LOGITS), "golden.npz: 4 members"),
        (golden_zip(spectra=npy(GOLDEN.astype(float)), logits=LOGITS, features=LOGITS), "spectra.npy is not a float32"),
        (
            golden_zip(spectra=npy(GOLDEN[:, :7]), logits=LOGITS, features=LOGITS),
            "spectra has shape (2, 7), not (2, 8)",
        ),
        (golden_zip(spectra=npy(GOLDEN * np.nan), logits=LOGITS, features=LOGITS), "not a finite number"),
        (golden_zip(spectra=npy(GOLDEN), logits=LOGITS, features=npy((GOLDEN @ TABLE)[:, :2])), "3 columns are read"),
        (
            golden_zip(
                spectra=header("{'descr': '<f4', 'fortran_order': False, 'shape': (999999999, 999999999), }\n"),
                logits=LOGITS,
                features=LOGITS,
            ),
            "0 bytes for 999999999 x 999999999",
        ),
        (
            golden_zip(spectra=header("{'descr': '|O', 'shape': (1,)}\n"), logits=LOGITS, features=LOGITS),
            "spectra.npy is not a float32",
        ),
    ],
)
def test_golden_vectors_that_do_not_fit_are_refused(golden: bytes, message: str) -> None:
    assert message in refusal(bundle_bytes(fields(), files(golden_npz=golden))).message


def test_a_recipe_that_breaks_the_manifest_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(BundleUnfit, match="golden_tolerance"):
        write_bundle(tmp_path / "x.edgebundle", fields(golden_tolerance=-1), files())

    assert list(tmp_path.iterdir()) == []


@given(st.binary(max_size=2000))
def test_any_bytes_give_a_bundle_error(data: bytes) -> None:
    assert isinstance(judged(data), BundleError)
    assert isinstance(judged(resealed(data)), BundleError)


@given(st.data())
def test_a_bundle_changed_and_sealed_again_gives_a_bundle_or_a_bundle_error(data: st.DataObject) -> None:
    body = bytearray(WHOLE[:-64])
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(body)))
        body[start : start + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))

    judged(resealed(bytes(body)))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(sorted(json.loads(members(WHOLE)["manifest.json"]))), JSON)
def test_any_value_under_any_key_of_the_manifest_gives_a_bundle_or_a_bundle_error(key: str, value: object) -> None:
    judged(with_manifest(**{key: value}))


@given(st.binary(max_size=300))
def test_any_golden_header_gives_a_bundle_or_a_bundle_error(raw: bytes) -> None:
    golden = golden_zip(spectra=b"\x93NUMPY\x01\x00" + raw, logits=LOGITS, features=LOGITS)

    assert isinstance(judged(bundle_bytes(fields(), files(golden_npz=golden))), BundleUnfit)


def test_packed_golden_vectors_are_read_by_numpy_itself() -> None:
    loaded = np.load(io.BytesIO(pack_golden(GOLDEN, GOLDEN, GOLDEN)), allow_pickle=False)

    assert sorted(loaded) == ["features", "logits", "spectra"]
    np.testing.assert_array_equal(loaded["spectra"], GOLDEN)
