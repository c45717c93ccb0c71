"""The scripts that the suite does not run, in tests/faults and tests/growth, can be imported.

They share modules, and a renamed function would otherwise be noticed only at the next measurement.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
SCRIPTS = sorted([*TESTS.glob("faults/*.py"), *TESTS.glob("growth/*.py")])

pytestmark = pytest.mark.once


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda it: f"{it.parent.name}/{it.stem}")
def test_script_can_be_imported(script: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", f"import {script.stem}"],
        cwd=script.parent,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        check=True,
    )
