"""`testbed-front`: HTTPS on TCP 443 for AWS's endpoints; what answers is outside the testbed.

It reads lines of JSON from its standard input, first one with `address`, `certificate`, `key`
and `authority` (PEM) and `directory`, then answers: `id`, `status`, `headers`, `body`. It writes
one for each request: `id`, `method`, `path`, `query`, `headers`, `body`. Bodies are in base64. The
authority's certificate is left in the directory, for those who are to trust it.
"""

from __future__ import annotations

import json
import sys
from typing import Any


def main(argv: list[str]) -> int:
    """Serve until the standard input ends."""
    # imported here: the launcher imports all programs, and most testbeds need no TLS
    from testbed.programs.front_server import Front  # noqa: PLC0415

    del argv
    first: dict[str, Any] = json.loads(sys.stdin.readline())
    front = Front(first, _write)
    print(json.dumps({"listening": True}), flush=True)  # noqa: T201
    for line in sys.stdin:
        front.answered(json.loads(line))
    return 0


def _write(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()
