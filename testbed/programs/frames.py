"""Runs inside a node: sends Ethernet frames as they are.

Standard input is a JSON object: ``interface`` and ``frames``, texts in hexadecimal.
"""

from __future__ import annotations

import json
import socket
import sys


def main() -> None:
    """Send each frame once."""
    task = json.load(sys.stdin)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind((task["interface"], 0))
        for frame in task["frames"]:
            sock.send(bytes.fromhex(frame))


main()
