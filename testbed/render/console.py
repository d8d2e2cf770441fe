"""Consoles of rich, for standard output and error."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

WIDE = 200  # columns of an output that is no terminal: nothing is cut there


def console(*, stderr: bool = False) -> Console:
    """A console that neither guesses at markup nor at emoji in users' data."""
    from rich.console import Console  # noqa: PLC0415 - slow to import

    class Quitting(Console):
        def on_broken_pipe(self) -> None:  # rich's own exits with 1, "the network says no"
            raise BrokenPipeError

    made = Quitting(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = WIDE
    return made
