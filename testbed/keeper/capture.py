"""Capturing on many interfaces at once: the keeper opens the sockets, one process reads them."""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any

from testbed.errors import UsageError
from testbed.keeper.clock import Clock
from testbed.keeper.connection import Caller
from testbed.keeper.execute import Execution
from testbed.keeper.processes import ProcessTable
from testbed.keeper.running import Running
from testbed.kernel.namespace import enter, preserved
from testbed.kernel.packet_sockets import Instruction, PacketSocket, open_socket

PROGRAM = "testbed-capture"
SLACK_NS = 10_000_000  # that a packet may take from its time stamp to its socket
BUFFERS = 1 << 26  # bytes for the packets that wait, of all interfaces together
LEAST_BUFFER, LARGEST_BUFFER = 1 << 20, 1 << 25


class Capturing(Execution):
    """One capture: its process, which has the sockets and writes a pcapng file.

    `namespaces` are the nodes' namespaces by name.
    """

    def __init__(
        self,
        connection: Caller,
        processes: ProcessTable,
        clock: Clock,
        namespaces: dict[str, int],
    ) -> None:
        super().__init__(connection, processes, clock)
        self._namespaces = namespaces
        self._virtual = clock.kind == "virtual"

    def _start(self, request: dict[str, Any]) -> Running:
        rows = request["interfaces"]
        if not rows:
            raise UsageError("a capture needs an interface")
        with contextlib.ExitStack() as stack:
            sockets = []
            with preserved():
                for row in rows:
                    enter(self._namespaces[row["node"]])
                    sockets.append(self._open(row, request, len(rows)))
                    stack.callback(os.close, sockets[-1].descriptor)
            task = os.memfd_create(PROGRAM)
            stack.callback(os.close, task)
            os.write(task, json.dumps(self._task(request, sockets)).encode())
            os.lseek(task, 0, os.SEEK_SET)
            kept = (task, *(entry.descriptor for entry in sockets))
            return self._spawn(rows[0]["node"], [PROGRAM, str(task)], {"keep": kept})

    async def _announce(self) -> None:
        """Say that nothing is missed from now on."""
        await self._connection.send({"event": "capturing"})

    @staticmethod
    def _open(row: dict[str, str], request: dict[str, Any], count: int) -> PacketSocket:
        filters: dict[int, list[Instruction]] = {
            int(key): [tuple(entry) for entry in program]
            for key, program in (request.get("filters") or {}).items()
        }
        room = min(LARGEST_BUFFER, max(LEAST_BUFFER, BUFFERS // count))
        return open_socket(row["node"], row["interface"], filters, room)

    def _task(self, request: dict[str, Any], sockets: list[PacketSocket]) -> dict[str, Any]:
        system = os.uname()
        interfaces = [
            {
                "descriptor": entry.descriptor,
                "link_type": entry.link_type,
                "loopback": entry.loopback,
                "name": f"{row['node']}:{row['interface']}",
                "description": str(row.get("description") or ""),
            }
            for row, entry in zip(request["interfaces"], sockets, strict=True)
        ]
        wanted = ("comment", "application", "filter")
        return {name: str(request.get(name) or "") for name in wanted} | {
            "interfaces": interfaces,
            "count": request.get("count"),
            "seconds": request.get("seconds"),
            "system": f"{system.sysname} {system.release}",
            # Where the processor takes no time nothing is on its way.
            "slack_ns": 0 if self._virtual else SLACK_NS,
        }
