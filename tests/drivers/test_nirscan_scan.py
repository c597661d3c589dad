"""From the transferred bytes to counts at wavelengths: the golden scan of protocols.md 4.8, and what is refused."""

from __future__ import annotations

import hashlib
import struct

import numpy as np
import pytest

from drivers.contract import Environment, ScanSettings
from drivers.devices._nirscan_scan import decode_scan, encode_configuration, scan_index_of
from drivers.errors import WireError
from drivers.tpl import Image, read_image, write_image
from tests.drivers.nirscan_bytes import golden_readings, scan_blob

NM_TOLERANCE = 5e-6  # the golden values are given to six decimals


def test_the_golden_scan_gives_the_values_of_the_makers_library(golden_blob: bytes):
    scan = decode_scan(golden_blob)

    assert len(scan.axis_nm) == len(scan.counts) == len(scan.saturated) == 228
    assert scan.axis_nm[0] == pytest.approx(901.543160, abs=NM_TOLERANCE)
    assert scan.axis_nm[-1] == pytest.approx(1700.718537, abs=NM_TOLERANCE)
    assert scan.counts.tolist() == [10 * k for k in range(228)]
    assert scan.dark_level == 1000
    assert int(scan.readings.sum()) == 495_780
    assert len(scan.readings) == 237
    assert not scan.saturated.any()
    assert (scan.serial_number, scan.scan_index, scan.gain) == ("6100023", 77, 16)
    assert (scan.start_nm, scan.end_nm, scan.width_px, scan.patterns, scan.repeats) == (900, 1700, 6, 228, 6)
    assert scan.environment == Environment(
        ambient_c=31.25, detector_c=29.5, humidity_percent=42.1, lamp_photodiode=1234, battery_v=None
    )
    assert (scan.axis_nm.dtype, scan.counts.dtype, scan.readings.dtype) == (np.float64, np.int32, np.int32)
    assert (np.diff(scan.axis_nm) > 0).all()


def test_an_odd_width_has_its_centre_on_the_pixel(golden_blob: bytes):
    even = decode_scan(golden_blob).axis_nm
    odd = decode_scan(scan_blob(span=(900, 1700, 7, 228, 6))).axis_nm

    shift_px = (odd - even) / (-0.874372 - 2 * 0.000278 * 450)
    assert shift_px == pytest.approx(0.5, abs=0.15)


def test_the_configuration_has_the_digest_of_the_makers_library():
    image = encode_configuration(ScanSettings(name="Column 1"), "6100023")

    assert len(image) == 91
    assert hashlib.sha256(image).hexdigest() == "0041c04492f46b1b8ca8c4dfafe04da37ca13915396fb2db322a3ee5e09b266a"


def test_the_scan_index_is_read_from_the_first_piece_of_a_transfer(golden_blob: bytes):
    assert scan_index_of(golden_blob[:512]) == 77
    assert scan_index_of(golden_blob[:123]) is None
    assert scan_index_of(bytes(512)) is None
    assert scan_index_of(b"") is None


def test_the_dark_level_is_a_mean_in_integers_towards_zero():
    readings = golden_readings()
    darks = (1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1008)
    for value, at in zip(darks, range(24, 237, 25), strict=True):
        readings[at] = value
    assert decode_scan(scan_blob(readings=readings)).dark_level == 1000
    for at in range(24, 237, 25):
        readings[at] = -1
    readings[24] = 0
    assert decode_scan(scan_blob(readings=readings)).dark_level == 0


def test_a_reading_at_positive_full_scale_is_flagged_and_kept():
    readings = golden_readings()
    readings[30] = 0x7FFFFF  # pattern 29: one dark reading comes before it

    scan = decode_scan(scan_blob(readings=readings))

    assert np.flatnonzero(scan.saturated).tolist() == [29]
    assert scan.counts[29] == 0x7FFFFF - 1000


def test_conditions_that_no_sensor_can_mean_are_unknown():
    environment = decode_scan(scan_blob(conditions=(-30000, 32767, 65535, 0))).environment

    assert environment == Environment(lamp_photodiode=0)


def test_text_from_the_instrument_is_cut_at_its_end():
    assert decode_scan(scan_blob(name=b"\xff" * 20)).serial_number == "6100023"


@pytest.mark.parametrize(
    ("blob", "message"),
    [
        (b"", "shorter"),
        (b"tpl\0", "shorter"),
        (bytes(3822), "does not begin"),
        (scan_blob()[:3700], "3701 bytes in a transfer of 3700"),
        (b"tpl\1" + scan_blob()[4:], "big-endian"),
        (b"tpl\2" + scan_blob()[4:], "unknown flags"),
        (b"tpl\0\xff\xff\xff\xff" + scan_blob()[8:], "4294967295"),
        (b"tpl\0\x09\0\0\0" + scan_blob()[8:], "no end of the TPL format"),
        (b"tpl\0\x75\x0e\0\0" + b"x" * 3814, "no end of the TPL format"),
        (b"tpl\0\x40\0\0\0" + scan_blob()[8:], "ends before its values"),
        (b"tpl\0\x60\0\0\0" + scan_blob()[8:], "a scan of"),
        (b"tpl\0\x75\x0e\0\0\xff\xff\0" + bytes(4000), "not text"),
        (scan_blob().replace(b"vvcvvi#)", b"vvcvvj#)"), "not a scan"),
        (scan_blob().replace(struct.pack("<I", 864), struct.pack("<I", 865), 1), "not a scan"),
        (write_image(Image(format="S(cvc#c#vvcvv)", counts=(8, 40), values=bytes(60))), "not a scan"),
        (write_image(Image(format="S(uc#cccccccjjvvu$(f#f#)c#vccc)", counts=(20, 3, 3, 8), values=b"")), "slew"),
        (scan_blob(kind=1), "Hadamard"),
        (scan_blob(kind=2), "slew"),
        (scan_blob(kind=9), "type 9"),
        (scan_blob(gain=3), "gain 3"),
        (scan_blob(used=0), "0 readings"),
        (scan_blob(used=865), "865 readings"),
        (scan_blob(used=65535), "65535 readings"),
        (scan_blob(used=236), "227 readings of 228"),
        (scan_blob(dark=(0, 25)), "no dark reading"),
        (scan_blob(dark=(24, 0)), "no dark reading"),
        (scan_blob(dark=(24, 1)), "no dark reading"),
        (scan_blob(dark=(255, 25)), "no dark reading"),
        (scan_blob(span=(1700, 900, 6, 228, 6)), "make no scan"),
        (scan_blob(span=(900, 900, 6, 228, 6)), "make no scan"),
        (scan_blob(span=(900, 1700, 0, 228, 6)), "make no scan"),
        (scan_blob(span=(100, 1700, 6, 228, 6)), "100 nm lies on none"),
        (scan_blob(coefficients=(1784.9, 0.0, 0.0)), "one to one"),
        (scan_blob(coefficients=(1784.9, -0.8, 0.1)), "one to one"),
        (scan_blob(coefficients=(float("nan"), -0.8, 0.0)), "one to one"),
        (scan_blob(coefficients=(1784.9, float("inf"), 0.0)), "one to one"),
        (scan_blob(coefficients=(1e300, -1e300, 0.0)), "one to one"),
        (scan_blob(readings=[2**31 - 1 if k % 25 != 24 else -(2**31) for k in range(237)]), "outside the converter"),
    ],
)
def test_a_transfer_that_breaks_its_layout_or_a_limit_is_a_wire_error(blob: bytes, message: str):
    with pytest.raises(WireError, match=message):
        decode_scan(blob)


def test_a_straight_line_of_wavelengths_is_a_valid_calibration():
    axis = decode_scan(scan_blob(coefficients=(1750.0, -1.0, 0.0))).axis_nm

    assert axis[0] == pytest.approx(1750 - (850 - 0.5))
    assert axis[-1] == pytest.approx(1750 - (50 - 0.5))


def test_an_image_survives_writing_and_reading_whole_and_with_bytes_behind_it():
    image = Image(format="S(f#f#)", counts=(3, 3), values=struct.pack("<6d", *range(6)))

    assert read_image(write_image(image)) == image
    assert read_image(write_image(image) + b"behind") == image
    for size in range(len(write_image(image))):
        with pytest.raises(WireError):
            read_image(write_image(image)[:size])


def test_the_calibration_image_has_the_digest_of_the_makers_library():
    values = struct.pack("<6d", -2.74909, 0.0278162, -0.0000681733, 1784.902664, -0.874372, -0.000278)

    image = write_image(Image(format="S(f#f#)", counts=(3, 3), values=values))

    assert len(image) == 72
    assert (
        hashlib.sha256(image.ljust(144, b"\0")).hexdigest()
        == "d73bc802f382eb91712afe636c7211d47ab1f857916536b87099c94cd999f52a"
    )
