"""Programs that run inside a node, each a file of its own, with the standard library only."""

from pathlib import Path

FOLDER = Path(__file__).parent


def program(name: str) -> str:
    """The text of a program, for ``python3 -c``: a node need not see this package's files."""
    return (FOLDER / f"{name}.py").read_text()
