"""The examples in docs/pytest.md are run as they stand there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.packets

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "pytest.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_examples_pass(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    blocks = BLOCK.findall(PAGE.read_text())
    for number, block in enumerate(blocks, 1):
        (tmp_path / f"test_example_{number}.py").write_text(block)
    tests = sum(len(re.findall(r"^def test_", block, re.MULTILINE)) for block in blocks)
    assert tests >= 5
    vm = pytestconfig.getoption("testbed_vm")
    command = [sys.executable, "-m", "pytest", f"--rootdir={tmp_path}"]
    done = subprocess.run(
        [*command, f"--testbed-vm={vm}", str(tmp_path)],
        cwd=tmp_path,
        check=False,
        text=True,
        capture_output=True,
        timeout=280,
    )
    assert f"{tests} passed" in done.stdout, done.stdout + done.stderr
