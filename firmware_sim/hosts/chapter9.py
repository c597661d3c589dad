"""Standard requests and descriptors of USB 2.0, chapter 9, from what a firmware says of itself."""

from __future__ import annotations

import struct

from firmware_sim.contract import Setup, Stall, UsbDescriptors

DEVICE, CONFIGURATION, STRING, INTERFACE, ENDPOINT = 1, 2, 3, 4, 5
HID, HID_REPORT = 0x21, 0x22  # HID 1.11, section 7.1
VENDOR_CLASS, HID_CLASS = 0xFF, 0x03
BULK, INTERRUPT = 2, 3
TYPE_MASK, STANDARD = 0x60, 0x00
US_ENGLISH = 0x0409


def device_descriptor(told: UsbDescriptors) -> bytes:
    """Return the 18 bytes of table 9-8."""
    return struct.pack(
        "<BBHBBBBHHHBBBB", 18, DEVICE, 0x0200, 0, 0, 0, 64, told.vendor_id, told.product_id, told.release, 1, 2, 3, 1
    )


def configuration_descriptor(told: UsbDescriptors) -> bytes:
    """Return configuration, interface, HID and endpoint descriptors, tables 9-10, 9-12 and 9-13."""
    hid = bool(told.hid_report)
    body = struct.pack("<9B", 9, INTERFACE, 0, 0, len(told.endpoints), HID_CLASS if hid else VENDOR_CLASS, 0, 0, 0)
    if hid:
        body += hid_descriptor(told)
    for address in told.endpoints:
        body += struct.pack(
            "<BBBBHB", 7, ENDPOINT, address, INTERRUPT if hid else BULK, told.packet_bytes, 1 if hid else 0
        )
    return struct.pack("<BBHBBBBB", 9, CONFIGURATION, 9 + len(body), 1, 1, 0, 0x80, 250) + body


def hid_descriptor(told: UsbDescriptors) -> bytes:
    """Return the HID descriptor of HID 1.11, section 6.2.1."""
    return struct.pack("<BBHBBBH", 9, HID, 0x0111, 0, 1, HID_REPORT, len(told.hid_report))


def string_descriptor(told: UsbDescriptors, index: int) -> bytes:
    """Return the languages (0) or one of the three strings. Raises Stall."""
    if index == 0:
        body = struct.pack("<H", US_ENGLISH)
    elif index <= len(told.strings):
        body = told.strings[index - 1].encode("utf-16-le")
    else:
        raise Stall
    return bytes((len(body) + 2, STRING)) + body


def standard_answer(told: UsbDescriptors, setup: Setup) -> bytes | None:
    """Return the answer to a standard request, cut to its length; None for a request of another type. Raises Stall."""
    if setup.request_type & TYPE_MASK != STANDARD:
        return None
    match setup.request:
        case 6:  # GET_DESCRIPTOR
            return _descriptor(told, setup.value >> 8, setup.value & 0xFF)[: setup.length]
        case 0:  # GET_STATUS
            return b"\0\0"
        case 8:  # GET_CONFIGURATION
            return b"\1"
        case 10:  # GET_INTERFACE
            return b"\0"
        case 1 | 3 | 5 | 9 | 11:  # CLEAR_FEATURE, SET_FEATURE, SET_ADDRESS, SET_CONFIGURATION, SET_INTERFACE
            return b""
    raise Stall


def _descriptor(told: UsbDescriptors, kind: int, index: int) -> bytes:
    if kind == DEVICE:
        return device_descriptor(told)
    if kind == CONFIGURATION:
        return configuration_descriptor(told)
    if kind == STRING:
        return string_descriptor(told, index)
    if kind == HID and told.hid_report:
        return hid_descriptor(told)
    if kind == HID_REPORT and told.hid_report:
        return told.hid_report
    raise Stall
