"""FRR's zebra takes in what is new before it gets addresses (`testbed.plan.steps`)."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from testbed.keeper import frr
from testbed.plan import steps as s
from testbed.plan.diff import diff
from testbed.plan.model import Bond, Interface, Node, Plan, Process, Vlan, Vrf
from testbed.plan.roles import Role

ZEBRA = Process("zebra", ("zebra",), files=("zebra.conf",))


def plan(vid: int, address: str, *, process: Process = ZEBRA, text: str = "") -> Plan:
    name = f"lag.{vid}"
    interfaces = (
        Interface("lgw", Vrf(1002)),
        Interface("lag", Bond()),
        Interface(name, Vlan("lag", vid), addresses=(address,), master="lgw"),
    )
    files = {"zebra.conf": text}
    node = Node(
        "switch", Role.VPC_ROUTER, "g", interfaces=interfaces, processes=(process,), files=files
    )
    return Plan("test", (node,))


def awaited(old: Plan, new: Plan) -> list[tuple[tuple[str, str | None], ...]]:
    steps = diff(old, new)
    found = [step for step in steps if isinstance(step, s.AwaitInterfaces)]
    for step in found:
        after = [type(later) for later in steps[steps.index(step) :]]
        assert s.CreateInterface not in after
        assert s.AddAddress in after
    return [step.interfaces for step in found]


def test_a_zebra_that_runs_on_is_waited_for() -> None:
    base = plan(40, "10.0.0.1/30")
    assert awaited(base, plan(45, "10.0.0.1/30")) == [(("lag.45", "lgw"),)]
    assert awaited(base, plan(40, "10.0.0.5/30")) == []
    assert awaited(base, base) == []


@pytest.mark.parametrize(
    ("process", "text"),
    [(ZEBRA, "changed"), (Process("bird", ("bird",), files=("zebra.conf",)), "")],
)
def test_one_that_starts_anew_reads_all_there_is(process: Process, text: str) -> None:
    old = plan(40, "10.0.0.1/30", process=process)
    assert awaited(old, plan(45, "10.0.0.1/30", process=process, text=text)) == []
    assert awaited(Plan("test", ()), old) == []


def test_what_zebra_knows_is_read_from_its_own_words(tmp_path: Path) -> None:
    replies = {
        "show interface op.45": "Interface op.45 is up\n  Link ups: 1\n  vrf: lgw\n  index 38\n",
        "show interface op.40": "% Can't find interface op.40\n",
        "show interface eth0": "Interface eth0 is up\n  vrf: default\n  index 3\n",
    }
    path = tmp_path / "zebra.vty"

    def serve(listener: socket.socket, count: int) -> None:
        for _ in range(count):
            with listener.accept()[0] as connection:
                for _ in range(2):
                    command = connection.recv(1000).rstrip(b"\0").decode()
                    connection.sendall(replies.get(command, "").encode() + b"\0\0\0\0")

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)
        thread = threading.Thread(target=serve, args=(listener, 4), daemon=True)
        thread.start()
        assert frr.knows(str(path), [("op.45", "lgw"), ("eth0", None)])
        assert not frr.knows(str(path), [("op.45", "sl")])
        assert not frr.knows(str(path), [("op.40", "lgw")])
        thread.join()
