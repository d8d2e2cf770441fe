"""Starts a measurement with a Python that has the package: this one or the checkout's."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from pathlib import Path

PYTHON = Path(__file__).resolve().parents[1] / ".venv" / "bin" / "python"


def run(module: str) -> int:
    """Run `main` of a module beside this one. Returns the exit status."""
    if importlib.util.find_spec("testbed") and importlib.util.find_spec("click"):
        status: int = importlib.import_module(module).main()
        return status
    if PYTHON.exists() and Path(sys.prefix) != PYTHON.parents[1]:
        os.execv(PYTHON, [str(PYTHON), *sys.argv])
    print("the package testbed is not installed; run scripts/setup first", file=sys.stderr)
    return 3
