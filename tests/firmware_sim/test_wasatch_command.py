"""What the operator of a simulated Wasatch unit types."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from firmware_sim.main import main


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "say where it hangs: --usb"),
        (["--usb", "--model", "torus"], "'torus' is not one of"),
        (["--usb", "--sample", "sugar"], "'sugar' is not one of"),
        (["--usb", "--memory", "wet"], "'wet' is not one of"),
        (["--usb", "--serial-number", "x" * 17], "1 to 16 ASCII characters"),
        (["--usb", "--faults", "explode"], "no fault 'explode'"),
        (["--usb", "--faults", "flat@1:2"], "flat takes at most 0 numbers"),
    ],
)
def test_a_mistake_is_named_and_ends_with_status_2(words: list[str], said: str):
    result = CliRunner().invoke(main, ["wasatch", *words], prog_name="edged-sim")

    assert result.exit_code == 2
    assert said in " ".join(result.output.split())


def test_help_names_the_models_and_what_goes_wrong():
    result = CliRunner().invoke(main, ["wasatch", "--help"], prog_name="edged-sim")

    assert result.exit_code == 0
    assert all(word in result.output for word in ("wp785xs", "interlock_opens", "--usbredir"))
