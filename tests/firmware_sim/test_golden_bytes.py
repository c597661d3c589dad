"""The worked bytes and sums of the protocol notes; those sums are of images that the vendor's own library wrote."""

from __future__ import annotations

import hashlib
import struct

import numpy as np
import pytest

from firmware_sim.devices import _nirscan_tpl as tpl
from firmware_sim.devices._nirscan_scan import estimated_ms, pattern_nm
from tests.firmware_sim.raw_client import APPLY_COLUMN_1, client, memory, request

COLUMN_1 = tpl.Configuration(index=8, serial_number="6100023")
COEFFICIENTS = tpl.Coefficients(
    shift=(-2.74909, 0.0278162, -0.0000681733), pixel_to_nm=(1784.902664, -0.874372, -0.000278)
)


def golden_scan() -> bytes:
    patterns = iter(range(228))
    readings = tuple(1000 if at % 25 == 24 else 1000 + 10 * next(patterns) for at in range(237))
    return tpl.scan_image(
        tpl.ScanData(
            name="edged test",
            when=(26, 11, 21, 6, 1, 40, 7),
            system_c=31.25,
            detector_c=29.50,
            humidity_percent=42.10,
            lamp_photodiode=1234,
            scan_index=77,
            coefficients=COEFFICIENTS,
            serial_number="6100023",
            gain=16,
            configuration=COLUMN_1,
            adc=readings,
        )
    )


@pytest.mark.parametrize(
    ("image", "size", "digest"),
    [
        (golden_scan(), 3822, "569d70c9edffeb744c734987fbe3ba919427cc72cf6d8bf73895fd8e51950f6a"),
        (tpl.configuration_image(COLUMN_1), 91, "0041c04492f46b1b8ca8c4dfafe04da37ca13915396fb2db322a3ee5e09b266a"),
        (tpl.calibration_image(COEFFICIENTS), 144, "d73bc802f382eb91712afe636c7211d47ab1f857916536b87099c94cd999f52a"),
    ],
    ids=["scan", "configuration", "calibration"],
)
def test_images_are_those_of_the_vendors_library_byte_for_byte(image: bytes, size: int, digest: str) -> None:
    assert (len(image), hashlib.sha256(image).hexdigest()) == (size, digest)


def test_the_golden_scan_holds_the_sum_of_readings_that_was_noted() -> None:
    assert sum(struct.unpack_from("<864i", golden_scan(), 245)) == 495780


def test_the_golden_units_axis_is_the_one_that_the_vendors_library_interpreted() -> None:
    nm = pattern_nm(COLUMN_1, COEFFICIENTS.pixel_to_nm)

    assert len(nm) == 228
    assert (nm[0], nm[-1]) == pytest.approx((901.543160, 1700.718537), abs=1e-6)


def test_the_version_frame_is_answered_as_worked_out_in_the_notes() -> None:
    asked = bytes.fromhex("41424344 da000000 c000020016 02 44434241")

    assert memory().feed(asked) == bytes.fromhex(
        "41424344 08010000 c0001e001602 00010200 00000200 00010200 03000200 01000000 03000000 01000000 44434241"
    )


def test_a_reply_echoes_flags_sequence_and_command() -> None:
    line = memory()

    answer = line.feed(request(0x0105, b"\1\1", flags=0x40, sequence=6))

    assert answer[8:14] == bytes.fromhex("400602000501")


def test_the_worked_configuration_is_applied_and_comes_back_in_the_scan() -> None:
    line = memory()

    assert client(line).write(0x021E, APPLY_COLUMN_1) == struct.pack("<i", 228)

    assert client(line).scan()[185:245] == APPLY_COLUMN_1[31:91]


@pytest.mark.parametrize(("repeats", "ms"), [(6, 2691), (3, 2041)])
def test_the_estimated_scan_time_is_that_of_the_notes(repeats: int, ms: int) -> None:
    assert estimated_ms(tpl.Configuration(repeats=repeats)) == ms


def test_a_wrong_sum_is_answered_by_the_standard_failure_and_shows_in_the_error_status() -> None:
    line = memory()
    asked = bytearray(request(0x0403))
    asked[4] ^= 1

    assert line.feed(bytes(asked)) == bytes.fromhex("41424344 10000000 10000000 44434241")
    assert client(line).read(0x0404)[:4] == struct.pack("<I", 0x800)


def test_the_file_sizes_are_those_of_the_family() -> None:
    line = memory()
    client(line).scan()

    assert client(line).read(0x002D, bytes(4)) == bytes.fromhex("ee0e0000")
    assert client(line).read(0x002D, b"\2\0\0\0") == bytes.fromhex("ee0e0000")


def test_the_default_unit_reports_the_axis_coefficients_of_the_real_one() -> None:
    image = client(memory()).read(0x022A)

    assert len(image) == 144
    assert struct.unpack_from("<3d", image, 48) == (1776.51064022294, -0.918730919349196, -0.000243316388033348)
    assert np.frombuffer(image[:3], "S3")[0] == b"tpl"
