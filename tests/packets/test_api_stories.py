"""The stories of docs/api.md, as they are written. The one with Terraform is in test_api.py."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from api_clients import environment

from testbed.testing import Testbed

pytestmark = [pytest.mark.packets, pytest.mark.timeout(300)]
PAGE = Path(__file__).parents[2] / "docs" / "api.md"
PROGRAMS = """\
testbed() { "$PYTHON" -m testbed "$@"; }
aws() { "$PYTHON" -m awscli "$@"; }
set -e
"""


def block(heading: str, language: str) -> str:
    """The first block of code in a language under a heading."""
    text = PAGE.read_text().split(f"### {heading}\n", 1)[1]
    found = re.search(rf"```{language}\n(.*?)```", text, re.DOTALL)
    assert found
    return found[1]


@pytest.mark.topology("two-racks-blocked")
def test_the_command_lines_story(testbed: Testbed, api_url: str) -> None:
    lines = [line.removeprefix("$ ") for line in block("The command line", "console").splitlines()]
    own = {"PYTHON": sys.executable, "TESTBED_NAME": testbed.client.name}
    done = subprocess.run(
        ["bash", "-c", PROGRAMS + "\n".join(lines)],
        env={**os.environ, **environment(api_url), **own},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    first, last = re.findall(r"(\d) of 4 received", done.stdout)
    assert (first, last) == ("0", "4"), done.stdout


def test_boto3s_story(tmp_path: Path) -> None:
    (tmp_path / "test_story.py").write_text(block("boto3 in pytest", "python"))
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_story.py"]
    done = subprocess.run(
        argv, cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
