"""What a ruleset of a customer's firewall may say: definitions, and no command that waits or reads.

Its statements are told apart as nft's own scanner does it (nftables' src/scanner.l):
comments run from # to the line's end, strings are in double quotes, a
backslash joins lines, and a statement begins after a line's end, a semicolon or
a brace. Whether a definition is right is nft's to say, when it is loaded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SCANNER = re.compile(r'#[^\n]*|"[^"]*"?|\\\n|[{};\n]|[^\s{};"#\\]+|.', re.DOTALL)
# nft(8): the commands that change a ruleset; the rest list, wait, explain or read other files.
CHANGES = frozenset(
    (
        *("table", "define", "redefine", "undefine", "add", "create", "insert", "delete"),
        *("destroy", "replace", "rename", "flush"),
    )
)
COMMANDS = frozenset(("monitor", "list", "describe", "export", "import", "get", "reset", "include"))


@dataclass(frozen=True, slots=True)
class Misplaced:
    """A statement that a ruleset cannot have: its first word, and the line that it is in."""

    line: int
    word: str


def misplaced(text: str) -> Misplaced | None:
    """The first statement that is none of a ruleset's; None where all are."""
    line, depth, begins = 1, 0, True
    for match in SCANNER.finditer(text):
        word = match[0]
        if word in ";\n":
            begins = True
        elif word in "{}":
            depth = max(0, depth + (1 if word == "{" else -1))
            begins = True
        elif not word.isspace() and word[0] not in "#\\":
            refused = word == "include" or (depth == 0 and word not in CHANGES)
            if begins and refused:
                return Misplaced(line, word)
            begins = False
        line += word.count("\n")
    return None


def explain(found: Misplaced, file: str) -> tuple[str, str]:
    """The sentence about it, and the remedy."""
    message = f"{file}:{found.line}: '{found.word[:40]}' is not part of a ruleset"
    if found.word == "include":
        return message, "copy the included text into the file"
    if found.word in COMMANDS:
        return message, "to show something, use: testbed exec NODE -- nft …"
    return message, "a ruleset consists of tables: table inet filter { … }"
