"""Compiling pcap-filter(7) for the kernel, with tcpdump in a node."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from testbed.errors import HostError, UsageError

if TYPE_CHECKING:
    from testbed.control.client import Client
    from testbed.probes.capture_points import Point

Program = list[list[int]]
ETHERNET, RAW_IP = 1, 101  # pcap's numbers of link types
SNAPLEN = "262144"
TIMEOUT_S = 60.0
NOTHING: Program = [[6, 0, 0, 0]]  # ret 0
# `lo` is up in every node and has Ethernet headers. For a live interface tcpdump also looks
# at the VLAN tag where the kernel keeps it, beside the packet.
_WORDS = {ETHERNET: ("-i", "lo"), RAW_IP: ("-y", "RAW")}


def compile_filter(
    client: Client, points: Iterable[Point], text: str
) -> tuple[dict[str, Program], list[str]]:
    """The BPF programs of a filter, by the link types of these interfaces, and notes for people.

    UsageError when it is none, or when nothing could ever pass. What is about
    Ethernet only has no program for tunnels: nothing passes there, which is noted.
    """
    if not text.strip():
        return {}, []
    nodes = {RAW_IP if point.raw else ETHERNET: point.node for point in points}
    programs: dict[str, Program] = {}
    problems: dict[int, str] = {}
    for kind, node in nodes.items():
        programs[str(kind)], problems[kind] = _compile(client, node, kind, text)
    if all(problems.values()):
        reason = problems.get(ETHERNET) or problems[RAW_IP]
        raise UsageError(f"filter {text!r}: {reason}", hint="see pcap-filter(7)")
    where = {RAW_IP: "inside tunnels", ETHERNET: "on Ethernet"}
    notes = [f"nothing passes {where[kind]}: {text}" for kind, text in problems.items() if text]
    return programs, notes


def _compile(client: Client, node: str, kind: int, text: str) -> tuple[Program, str]:
    """The program, and what is wrong with the filter for this link type."""
    argv = ["tcpdump", *_WORDS[kind], "-ddd", "-s", SNAPLEN, "--", text]
    done = client.run(node, argv, timeout=TIMEOUT_S)
    said = done.stderr.decode(errors="replace").strip()
    if done.returncode:
        reason = said.splitlines()[-1].removeprefix("tcpdump: ") if said else "refused"
        return NOTHING, reason.removeprefix("can't parse filter expression: ")
    rows = [[int(word) for word in line.split()] for line in done.text.splitlines()[1:]]
    if not rows or any(len(row) != 4 for row in rows):
        raise HostError(f"tcpdump in {node} gave no program for the filter", hint=said or None)
    return rows, ""
