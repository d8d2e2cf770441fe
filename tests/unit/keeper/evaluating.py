"""A program for tests of the launcher: its first argument is Python code."""

from __future__ import annotations

import sys


def main(argv: list[str]) -> None:
    """Run the code as an interpreter's main program."""
    code, *rest = argv
    sys.argv = ["-c", *rest]
    exec(code, {"__name__": "__main__"})
