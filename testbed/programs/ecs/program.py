"""`testbed-ecs NODE DIRECTORY`: the control plane of ECS. DIRECTORY has its file and its socket."""

from __future__ import annotations

import json
from typing import Any

from testbed.programs.inquiries import RELOAD, Inquiries
from testbed.programs.json_service import RefusedError, handle
from testbed.programs.services import Server

FILE, SOCKET, PORT = "ecs.json", "ecs.ctl", 443


class ControlPlane:
    """What is declared, and what has become of it."""

    def __init__(self, directory: str) -> None:
        self._file = f"{directory}/{FILE}"
        self._declared: dict[str, Any] = {}
        self.read()

    def read(self) -> None:
        """Read the declared state anew."""
        with open(self._file, encoding="utf-8") as file:  # noqa: PTH123 - pathlib is slow to import
            self._declared = json.load(file)

    def operate(self, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """Carry out an operation of the API; RefusedError as AWS refuses."""
        if operation == "DescribeClusters":
            wanted = parameters.get("clusters") or ["default"]
            rows = self._declared["clusters"]
            return {"clusters": [row for row in rows if row["clusterName"] in wanted]}
        raise RefusedError("UnsupportedOperationException", f"{operation} is not supported here")

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer the keeper: a reload, or an operation that has come by AWS's endpoint."""
        if request["op"] == RELOAD:
            self.read()
            return {}
        try:
            return {"result": self.operate(request["operation"], request.get("parameters") or {})}
        except RefusedError as error:
            return {"refused": error.to_json()}


def main(argv: list[str]) -> None:
    """Serve until killed."""
    node, directory = argv
    server = Server(node)
    plane = ControlPlane(directory)
    server.listen(PORT, lambda connection: handle(connection, plane.operate))
    Inquiries(f"{directory}/{SOCKET}", server.selector, plane.answer)
    server.run()
