from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def left_on_disk(home: Path, code: str) -> list[str]:
    """Run code in a fresh interpreter whose home and temp folder are `home`, and return what it wrote there."""
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("ORT_", "XDG_", "CI", "GITHUB"))}
    environ = keep | {"HOME": str(home), "TMPDIR": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, "-c", code], env=environ, check=True, timeout=60)
    return [str(path.relative_to(home)) for path in home.rglob("*")]


def test_loading_the_runtime_leaves_no_identity_and_no_cache_of_its_maker_on_disk(tmp_path: Path) -> None:
    code = "from edged.infer.runtime import load_onnxruntime; load_onnxruntime().get_available_providers()"

    assert left_on_disk(tmp_path, code) == []


def test_a_choice_that_the_operator_made_is_left_alone(tmp_path: Path) -> None:
    code = (
        "import os; os.environ['ORT_DISABLE_TELEMETRY'] = '0'\n"
        "from edged.infer.runtime import load_onnxruntime\n"
        "load_onnxruntime()\n"
        "assert os.environ['ORT_DISABLE_TELEMETRY'] == '0'\n"
        "assert os.environ['ORT_TELEMETRY_DISABLED'] == '1'\n"
    )

    left_on_disk(tmp_path, code)


def test_importing_the_room_loads_no_runtime() -> None:
    code = "import sys, edged.infer.analyze; assert 'onnxruntime' not in sys.modules"

    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
