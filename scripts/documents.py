"""Writes the parts of the documentation that are made from the code; with --check, compares them.

Run as ``.venv/bin/python scripts/documents.py [--check]``. A part stands between two lines
``<!-- made by scripts/documents.py: NAME -->`` and ``<!-- until here -->``.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from testbed.conformance.runner import all_checks  # noqa: E402
from testbed.conformance.sources import SOURCES  # noqa: E402
from testbed.faults.catalog import KINDS  # noqa: E402
from testbed.faults.targets import WORDS  # noqa: E402
from testbed.render.faults import parameter_text  # noqa: E402
from testbed.topology import json_schema  # noqa: E402
from testbed.topology.schema.fault import parameters  # noqa: E402

PART = re.compile(
    r"(?<=<!-- made by scripts/documents\.py: )(?P<name>[\w-]+)( -->\n\n)(?P<text>.*?)"
    r"(?=\n<!-- until here -->)",
    re.DOTALL,
)


def cell(text: str) -> str:
    """A text as a table has it."""
    return text.replace("|", r"\|")


def fault_kinds() -> str:
    """The kinds of faults, as `testbed fault --list` prints them."""
    rows = ["| kind | target | parameters | what happens |", "|---|---|---|---|"]
    for kind in KINDS.values():
        targets = " or ".join(f"`{WORDS[each]}`" for each in kind.targets)
        given = " ".join(f"`{cell(parameter_text(each))}`" for each in kind.parameters)
        rows.append(f"| `{kind.name}` | {targets} | {given} | {cell(kind.help)} |")
    return "\n".join(rows) + "\n"


def fault_parameters() -> str:
    """The keys of a declared fault that are parameters of its kind."""
    rows = ["| parameter | what it is, by kind |", "|---|---|"]
    rows += [f"| `{name}` | {cell(text)} |" for name, text in parameters().items()]
    return "\n".join(rows) + "\n"


def checks() -> str:
    """All checks, as their docstrings have it."""
    rows = ["| check | what it verifies | source |", "|---|---|---|"]
    rows += [
        f"| `{check.name}` | {cell(check.summary)} | {cell(check.source)} |"
        for check in all_checks().values()
    ]
    return "\n".join(rows) + "\n"


def sources() -> str:
    """What the tags of sources stand for."""
    rows = ["| tag | title |", "|---|---|"]
    rows += [f"| {tag} | [{cell(title)}]({url}) |" for tag, (title, url) in SOURCES.items()]
    return "\n".join(rows) + "\n"


PARTS: dict[str, Callable[[], str]] = {
    "checks": checks,
    "fault-kinds": fault_kinds,
    "fault-parameters": fault_parameters,
    "sources": sources,
}


def current() -> dict[Path, str]:
    """What each of the files has to say."""
    found = {
        ROOT / "testbed/topology/schema.json": json.dumps(json_schema(), indent=2) + "\n",
    }
    for path in sorted((ROOT / "docs").rglob("*.md")):
        text = path.read_text()
        made = PART.sub(lambda part: f"{part['name']}{part[2]}{PARTS[part['name']]()}", text)
        if "made by scripts/documents.py" in text:
            found[path] = made
    return found


def main() -> None:
    """Write what has changed, or name it and fail."""
    stale = [path for path, text in current().items() if path.read_text() != text]
    if "--check" in sys.argv[1:] and stale:
        names = ", ".join(str(path.relative_to(ROOT)) for path in stale)
        sys.exit(f"not as the code has it: {names}; run: .venv/bin/python scripts/documents.py")
    for path in stale:
        path.write_text(current()[path])


if __name__ == "__main__":
    main()
