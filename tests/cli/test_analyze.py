from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from edged.cli.main import main
from tests.bundle.tiny import AXIS_NM, DOSE, bundle_bytes, dose_bytes, dose_fields, dose_files, tiny_bytes

HEAD = "nm," + ",".join(f"{nm:g}" for nm in AXIS_NM)


def line(title: str, first: float, second: float, third: float) -> str:
    return f"{title},{first},{second},{third},0,0,0,0,0"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.edgebundle"
    path.write_bytes(tiny_bytes())
    return path


@pytest.fixture
def powders(tmp_path: Path) -> Path:
    path = tmp_path / "powders.csv"
    rows = [line("sure", 4, 0, 0), line("torn", 2, 2, 0), line("strange", 40, 0, 0)]
    path.write_text("\n".join([HEAD, *rows]) + "\n")
    return path


def analyze(*args: object) -> Result:
    return CliRunner().invoke(main, ["analyze", *map(str, args)])


def objects(result: Result) -> list[dict[str, Any]]:
    return [json.loads(text) for text in result.stdout.splitlines()]


def test_each_spectrum_gives_one_json_object_with_its_verdict(bundle: Path, powders: Path) -> None:
    result = analyze(powders, "--bundle", bundle, "--json")

    sure, torn, strange = objects(result)
    assert result.exit_code == 0
    assert (sure["file"], sure["row"], sure["title"]) == (str(powders), 1, "sure")
    assert (sure["verdict"]["outcome"], sure["verdict"]["label"]) == ("identified", "A")
    assert sure["probabilities"]["A"] == pytest.approx(np.exp(4) / (np.exp(4) + 2), abs=1e-6)
    assert set(sure["probabilities"]) == {"A", "B", "C"}
    assert torn["verdict"]["outcome"] == "inconclusive"
    assert torn["probabilities"]["A"] == torn["probabilities"]["B"]
    assert (strange["verdict"]["outcome"], strange["probabilities"]) == ("not_in_scope", None)
    assert strange["verdict"]["reasons"][0]["code"] == "out_of_model"


def test_a_claim_is_verified(bundle: Path, powders: Path) -> None:
    result = analyze(powders, "--bundle", bundle, "--json", "--procedure", "verify", "--claimed", "A")

    assert [o["verdict"]["outcome"] for o in objects(result)] == ["pass", "inconclusive", "not_in_scope"]
    assert {o["verdict"]["procedure"] for o in objects(result)} == {"verify"}


def test_the_preset_asked_for_is_applied(bundle: Path, powders: Path) -> None:
    confirmed = analyze(powders, "--bundle", bundle, "--json", "--preset", "confirm")

    assert [o["verdict"]["preset"] for o in objects(confirmed)] == ["confirm"] * 3


def test_what_fails_is_told_beside_what_does_not(bundle: Path, powders: Path, tmp_path: Path) -> None:
    mixed = tmp_path / "mixed.csv"
    mixed.write_text("\n".join([HEAD, line("a", 4, 0, 0), "bad,1,nan,0,0,0,0,0,0", line("b", 0, 4, 0)]))

    result = analyze(mixed, tmp_path / "none.csv", powders, "--bundle", bundle, "--json")

    found = objects(result)
    assert result.exit_code == 1
    assert [(o["row"], "error" in o) for o in found] == [
        (1, False),
        (2, True),
        (3, False),
        (None, True),
        (1, False),
        (2, False),
        (3, False),
    ]
    assert found[1]["error"]["message"] == f"{mixed}: line 3, column 3: 'nan' is not a finite number"
    assert found[1]["error"]["hint"]
    assert found[3] == {
        "file": str(tmp_path / "none.csv"),
        "row": None,
        "error": {"message": f"{tmp_path / 'none.csv'}: no such file or directory", "hint": "check the name"},
    }


def test_an_axis_outside_the_models_is_a_rejection_with_the_numbers(bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "short.csv"
    path.write_text("nm,1010,1020,1030,1040,1050,1060,1070,1080\n" + line("a", 4, 0, 0))

    result = analyze(path, "--bundle", bundle, "--json")

    (found,) = objects(result)
    assert result.exit_code == 0
    assert found["verdict"]["outcome"] == "rejected"
    (reason,) = found["verdict"]["reasons"]
    assert (reason["code"], reason["value"]) == ("axis_not_covered", 10.0)
    assert reason["message"] == "the spectrum covers 1010 to 1080 nm, the model needs 1000 to 1070 nm"
    assert found["probabilities"] is None


def test_a_unit_or_quantity_that_is_not_the_models_is_an_error(bundle: Path, powders: Path) -> None:
    unit = analyze(powders, "--bundle", bundle, "--json", "--unit", "cm-1")
    quantity = analyze(powders, "--bundle", bundle, "--json", "--quantity", "reflectance")

    assert (unit.exit_code, quantity.exit_code) == (1, 1)
    assert objects(unit)[0]["error"]["message"] == "the axis is in cm-1, the model wants nm"
    assert objects(quantity)[2]["error"]["message"] == "the values are reflectance, the model wants absorbance"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--procedure", "verify"], "verify needs the claimed class (one of: A, B, C)"),
        (["--procedure", "verify", "--claimed", "X"], "does not know the class 'X'"),
        (["--preset", "screen"], "has no preset screen"),
        (["--preset", "wild"], "Invalid value for '--preset'"),
        (
            ["--procedure", "components"],
            "tiny 1.2.3 does not offer the procedure components (it offers: identify, verify)",
        ),
        (["--procedure", "guess"], "Invalid value for '--procedure'"),
    ],
)
def test_wrong_usage_exits_with_2_and_says_what_there_is(
    args: list[str], message: str, bundle: Path, powders: Path
) -> None:
    result = analyze(powders, "--bundle", bundle, *args)

    assert result.exit_code == 2
    assert message in result.stderr


def test_no_file_is_wrong_usage() -> None:
    assert analyze().exit_code == 2


def test_a_bundle_with_one_flipped_byte_is_refused_with_its_name(bundle: Path, powders: Path) -> None:
    data = bytearray(bundle.read_bytes())
    data[500] ^= 1
    bundle.write_bytes(data)

    as_json = analyze(powders, "--bundle", bundle, "--json")
    as_text = analyze(powders, "--bundle", bundle)

    assert (as_json.exit_code, as_text.exit_code) == (1, 1)
    (found,) = objects(as_json)
    assert found["error"]["message"].startswith(f"{bundle}: damaged: its bytes have SHA-256")
    assert "copy or download the file again" in as_text.stderr
    assert as_text.stdout == ""


def test_the_table_names_outcome_label_and_reason(bundle: Path, powders: Path, tmp_path: Path) -> None:
    result = analyze(powders, tmp_path / "none.csv", "--bundle", bundle)

    assert result.exit_code == 1
    for word in ("sure", "identified", "0.965", "torn", "inconclusive", "strange", "not_in_scope", "tiny 1.2.3"):
        assert word in result.stdout, word
    assert "1 identified, 1 inconclusive, 1 not_in_scope, 1 error" in result.stdout
    assert "no such file or directory (check the name)" in result.stderr


def test_the_active_bundle_judges_when_none_is_named(bundle: Path, powders: Path, tmp_path: Path) -> None:
    place = ("--storage", tmp_path / "state")
    installed = CliRunner().invoke(main, ["bundle", "install", str(bundle), "--activate", *map(str, place)])

    by_default = analyze(powders, "--json", *place)
    by_name = analyze(powders, "--json", "--bundle", "tiny-1.2.3", *place)

    assert installed.exit_code == 0
    assert by_default.exit_code == 0
    assert by_default.stdout == by_name.stdout == analyze(powders, "--json", "--bundle", bundle).stdout


def test_the_bundle_of_the_configuration_judges_when_it_names_one(bundle: Path, powders: Path, tmp_path: Path) -> None:
    config = tmp_path / "edged.toml"
    config.write_text(f'site = "s"\ndevice = "d"\n[bundle]\npath = "{bundle}"\n')

    assert analyze(powders, "--json", "--config", config).exit_code == 0


def test_100_mb_of_rubbish_cost_little_memory_and_give_a_message(bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "rubbish.csv"
    path.touch()
    os.truncate(path, 100_000_000)
    code = (
        "import sys\n"
        "from edged.cli.main import main\n"
        "try:\n"
        "    main(sys.argv[1:])\n"
        "finally:\n"
        "    status = open('/proc/self/status').read()\n"
        "    print(status.split('VmHWM:')[1].split()[0], file=sys.stderr)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, "analyze", "--json", str(path), "--bundle", str(bundle)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["message"] == f"{path}: 100 MB; at most 67 MB are read from one file"
    assert int(done.stderr.split()[-1]) < 150_000  # KiB; Python, numpy and onnxruntime take most of it


def test_json_output_loads_neither_rich_nor_what_only_training_needs(bundle: Path, powders: Path) -> None:
    code = (
        "import sys\n"
        "from edged.cli.main import main\n"
        "try:\n"
        "    main(sys.argv[1:])\n"
        "except SystemExit as done:\n"
        "    assert done.code == 0\n"
        "print(sorted({'rich', 'torch', 'scipy', 'onnx', 'sklearn', 'paho', 'serial'} & set(sys.modules)))\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, "analyze", "--json", str(powders), "--bundle", str(bundle)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("kind", ["csv", "jdx", "spc"])
def test_what_is_read_is_saved_in_the_format_asked_for(kind: str, bundle: Path, powders: Path, tmp_path: Path) -> None:
    first = analyze(powders, "--bundle", bundle, "--json", "--save", tmp_path / "out", "--format", kind)
    saved = sorted((tmp_path / "out").iterdir())
    again = analyze(*saved, "--bundle", bundle, "--json")

    assert (first.exit_code, again.exit_code) == (0, 0)
    assert [path.name for path in saved] == [f"powders_{row}.{kind}" for row in (1, 2, 3)]
    assert [o["title"] for o in objects(again)] == ["sure", "torn", "strange"]
    assert [o["verdict"]["outcome"] for o in objects(again)] == [o["verdict"]["outcome"] for o in objects(first)]
    assert objects(again)[0]["probabilities"] == pytest.approx(objects(first)[0]["probabilities"])


def test_a_file_that_exists_is_kept_and_told_beside_the_verdict(bundle: Path, powders: Path, tmp_path: Path) -> None:
    (tmp_path / "powders_2.csv").write_text("mine")

    result = analyze(powders, "--bundle", bundle, "--json", "--save", tmp_path)

    assert result.exit_code == 1
    assert [(o["row"], "error" in o) for o in objects(result)] == [(1, False), (2, False), (2, True), (3, False)]
    assert objects(result)[2]["error"]["message"] == f"{tmp_path / 'powders_2.csv'}: exists already"
    assert (tmp_path / "powders_2.csv").read_text() == "mine"
    assert (tmp_path / "powders_3.csv").is_file()


def test_a_folder_that_cannot_be_is_wrong_usage(bundle: Path, powders: Path) -> None:
    nowhere = analyze(powders, "--bundle", bundle, "--save", powders)
    no_folder = analyze(powders, "--bundle", bundle, "--format", "spc")

    assert (nowhere.exit_code, no_folder.exit_code) == (2, 2)
    assert "file exists" in nowhere.stderr
    assert "--format says how to --save: name the folder" in no_folder.stderr


def test_what_the_file_says_of_its_values_goes_before_what_the_model_wants(bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "raman.csv"
    path.write_text("intensity by nm,a\n" + "".join(f"{nm:g},1\n" for nm in AXIS_NM))

    result = analyze(path, "--bundle", bundle, "--json")

    (found,) = objects(result)
    assert result.exit_code == 1
    assert found["error"]["message"] == "the values are intensity, the model wants absorbance"


def test_a_bundle_that_quantifies_is_asked_for_amounts_without_being_told(tmp_path: Path) -> None:
    bundle, capsules = tmp_path / "dose.edgebundle", tmp_path / "capsules.csv"
    bundle.write_bytes(dose_bytes())
    capsules.write_text("\n".join([HEAD, line("one", 3.12, 4, 0), line("two", 9, 4, 0), line("far", 3, 4, 9)]))

    table, found = analyze(capsules, "--bundle", bundle), objects(analyze(capsules, "--bundle", bundle, "--json"))

    assert table.exit_code == 0
    assert "Isoniazid 312 mg (295 to 329), Water 4.00 % (3.75 to 4.25)" in table.stdout
    assert "Isoniazid: 900 mg is beyond 100 to 500 mg" in " ".join(table.stdout.split())
    assert "1 quantified, 1 inconclusive, 1 not_in_scope; tiny 1.2.3, quantify, balanced" in table.stdout
    assert [o["verdict"]["outcome"] for o in found] == ["quantified", "inconclusive", "not_in_scope"]
    assert found[0]["verdict"]["amounts"][0] == {
        "label": "drug",
        "title": "Isoniazid",
        "unit": "mg",
        "value": pytest.approx(312, abs=1e-4),
        "low": pytest.approx(295, abs=1e-4),
        "high": pytest.approx(329, abs=1e-4),
    }
    assert [o["probabilities"] for o in found] == [None] * 3


def test_the_model_picks_absorbance_or_signal_of_a_file_that_holds_both(tmp_path: Path, data_dir: Path) -> None:
    """100 a unit at 1000 nm, as the dose table has it; the file's own columns are read by csv."""
    wide: dict[str, Any] = {"lowest": -1e8, "highest": 1e8}
    fields = dose_fields(amounts=[amount | wide for amount in DOSE["amounts"]], gates=[])
    paths = sorted((data_dir / "nir_api20_nirmr2" / "scans").glob("*.csv"))[::7]
    for quantity, column in (("absorbance", 1), ("intensity", 3)):
        bundle = tmp_path / f"{quantity}.edgebundle"
        bundle.write_bytes(bundle_bytes(fields | {"quantity": quantity}, dose_files()))

        found = objects(analyze(*paths, "--bundle", bundle, "--json"))

        for path, told in zip(paths, found, strict=True):
            with path.open(encoding="utf-8-sig") as file:
                lines = list(csv.reader(file))
            start = next(i for i, cells in enumerate(lines) if cells and cells[0] == "Wavelength (nm)")
            table = np.array([cells[:4] for cells in lines[start + 1 :] if cells and cells[0]], dtype=float)
            truth = 100 * np.interp(1000.0, table[:, 0], table[:, column])
            assert told["verdict"]["amounts"][0]["value"] == pytest.approx(truth, rel=1e-5)


def test_a_claim_is_shown_with_its_p_value(tmp_path: Path, powders: Path) -> None:
    levels = {"quantiles": [0.0, 3.0], "n": 99}
    table = {"name": "own scans", "columns": [0, 3], "levels": [levels] * 3}
    alpha = {"balanced": 0.05, "confirm": 0.05}
    fits, strange = tmp_path / "fits.edgebundle", tmp_path / "strange.edgebundle"
    fits.write_bytes(tiny_bytes(residuals=table | {"levels": [levels | {"quantiles": [0.0, 8.0]}] * 3, "alpha": alpha}))
    strange.write_bytes(tiny_bytes(residuals=table | {"alpha": alpha}))

    words = (powders, "--procedure", "verify", "--claimed", "A", "--bundle")
    passed, failed = analyze(*words, fits), analyze(*words, strange)

    assert "p-value 0.510" in " ".join(passed.stdout.split())  # half of 98 ranks: (1 + 99 - 49) / 100
    assert objects(analyze(*words, fits, "--json"))[0]["verdict"]["p_value"] == pytest.approx(0.51)
    assert objects(analyze(*words, strange, "--json"))[0]["verdict"]["outcome"] == "fail"
    assert "own scans: fits worse than scans of A do, p = 0.01" in " ".join(failed.stdout.split())
