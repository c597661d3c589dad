"""Which vendor requests the boards of a simulated Wasatch unit know, and the registers behind the simple ones."""

from __future__ import annotations

from firmware_sim.contract import Setup

OUTWARD, INWARD = 0x40, 0xC0
SECOND_TIER = 0xFF  # the value says which
UNKNOWN = b"\xff" * 64  # what an ARM board answers where it has no register
FX2_WITH_DATA = {0xC7, 0xDB, 0xC6, 0xB9, 0xD2, 0xEB}
WRITES = {
    0xAD: "acquire", 0xB2: "integration", 0xB6: "offset", 0x9C: "odd_offset", 0xB7: "gain", 0x9D: "odd_gain",
    0xBE: "laser", 0xBD: "modulation", 0xC7: "period", 0xDB: "width", 0xC6: "delay", 0xB9: "duration", 0xDD: "linked",
    0xD6: "cooler", 0xD8: "set_point", 0xED: "adc", 0xD2: "trigger", 0xEB: "high_gain", 0xB5: "fpga_reset",
    0x8A: "warning_delay", 0xE7: "laser_set_point", 0x84: "laser_cooler", 0x82: "attenuator", 0x8E: "detector_timeout",
    0x90: "i2c",
}  # request outward -> register  # fmt: skip
WRITES2 = {
    0x15: "laser_number", 0x16: "raman_mode", 0x18: "watchdog", 0x20: "raman_delay", 0x21: "first_line",
    0x23: "last_line", 0x25: "region", 0x62: "averaging",
}  # fmt: skip
READS = {
    0xBF: ("integration", 3), 0xC4: ("offset", 2), 0x9E: ("odd_offset", 2), 0xC5: ("gain", 2), 0x9F: ("odd_gain", 2),
    0xE3: ("modulation", 1), 0xCB: ("period", 5), 0xDC: ("width", 5), 0xCA: ("delay", 5), 0xC3: ("duration", 5),
    0xDE: ("linked", 1), 0xDA: ("cooler", 1), 0xD9: ("set_point", 2), 0xEE: ("adc", 1), 0xD3: ("trigger", 1),
    0xEC: ("high_gain", 1), 0xE8: ("laser_set_point", 2), 0x85: ("laser_cooler", 1), 0x83: ("attenuator", 1),
}  # request inward -> register, bytes  # fmt: skip
INGAAS_ONLY = {"odd_offset", "odd_gain", "high_gain"}
ARM_ONLY = {"warning_delay", "attenuator", "laser_cooler", "detector_timeout", *WRITES2.values()}


def register_of(setup: Setup) -> str | None:
    """Return the register that a request outward writes."""
    return WRITES2.get(setup.value) if setup.request == SECOND_TIER else WRITES.get(setup.request)


def has_register(product_id: int, register: str) -> bool:
    """Say whether a board of this product has it."""
    is_arm = product_id == 0x4000
    if register in INGAAS_ONLY:
        return product_id == 0x2000
    if register in ARM_ONLY:
        return is_arm
    return register != "trigger" or not is_arm


def has_stage(product_id: int, setup: Setup, data: bytes) -> bool:
    """Say whether a request outward carries what its board wants behind it."""
    if product_id == 0x4000:
        return len(data) >= 8
    return len(data) >= 1 if setup.request in FX2_WITH_DATA else not data


def is_forbidden(setup: Setup) -> bool:
    """Say whether it would spoil a unit: boot loader, and the memory written."""
    second = setup.request == SECOND_TIER and setup.value == 0x02
    return setup.request == 0xFE or (setup.request_type == OUTWARD and (setup.request == 0xA2 or second))
