"""What a testbed bears from its clients and from what runs in its nodes, here and in a guest."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from testbed.control import registry
from testbed.control.client import Client
from testbed.control.protocol import HEADER, MAX_REQUEST, Frame, control_socket, dial, pack
from testbed.errors import HostError
from testbed.guest.kinds import KINDS
from testbed.kernel import features
from testbed.kernel.isolation import UNNEEDED
from testbed.lifecycle.bringup import bring_up, take_down
from testbed.plan.checks import LinkCheck
from testbed.plan.model import Interface, Node, Plan, Veth
from testbed.plan.roles import Role
from testbed.testing import eventually

from .started import gone

pytestmark = [pytest.mark.packets, pytest.mark.timeout(300)]

NAME = "robust"
SLEEP = ("sleep", "1111")


def cable(name: str = NAME) -> Plan:
    """Two nodes and a cable, which every kernel can have."""
    one = Node("one", Role.HOST, "x", interfaces=(Interface("e0", Veth("two", "e0")),))
    two = Node("two", Role.HOST, "x", interfaces=(Interface("e0", Veth("one", "e0")),))
    return Plan(name, (one, two), (LinkCheck("one", "e0"),))


@pytest.fixture(scope="module", params=["never", "uml"])
def vm(request: pytest.FixtureRequest) -> str:
    """Where the testbed runs: in this kernel, and in a user-mode one."""
    kind: str = request.param
    chosen = request.config.getoption("testbed_vm")
    if kind == "never" and (chosen == "always" or features.lacking(cable())):
        pytest.skip("not in this kernel")
    if kind == "uml" and (chosen not in {"auto", "always", "uml"} or KINDS["uml"]().problems()):
        pytest.skip("not in a user-mode kernel")
    return kind


@pytest.fixture(scope="module")
def client(vm: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A testbed of the cable, registered in a directory of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TESTBED_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
        assert bring_up(cable(), vm=vm).pending == []
        yield Client(NAME)
        take_down(NAME)


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "testbed", *words]


def sleeps(client: Client) -> bool:
    """Whether the command that a client has started runs in the testbed."""
    listed = client.run("two", ["ps", "-eo", "args"], timeout=60).text
    return " ".join(SLEEP) in listed.splitlines()


@pytest.fixture
def blocked(client: Client) -> Iterator[subprocess.Popen[bytes]]:
    """`testbed exec` of a command that does not read what there is much of."""
    with Path("/dev/zero").open("rb") as endless:
        process = subprocess.Popen(command("exec", "one", "--", *SLEEP), stdin=endless)
        eventually(lambda: sleeps(client))
        yield process
        process.kill()
        process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_full_pipe_holds_no_signal_up(
    client: Client, blocked: subprocess.Popen[bytes], number: signal.Signals
) -> None:
    """Neither a signal nor the end waits behind standard input that the command leaves unread."""
    blocked.send_signal(number)
    status = blocked.wait(60)
    assert status == (128 + signal.SIGTERM if number == signal.SIGTERM else -signal.SIGKILL)
    eventually(lambda: not sleeps(client))


def test_all_of_a_large_input_arrives(client: Client) -> None:
    data = os.urandom(1 << 20)
    assert client.run("one", ["cat"], input=data, timeout=120).stdout == data


def test_a_testbed_ends_with_the_process_that_holds_it(
    vm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when that is killed at the moment at which the first apply has come through."""
    monkeypatch.setenv("TESTBED_RUNTIME_DIR", str(tmp_path / "run"))
    script = (
        "import os, signal; from packets.test_robustness import cable;"
        "from testbed.control import client;"
        "client.Client._ask = lambda self, request, _ask=client.Client._ask, **options:"
        " (_ask(self, request, **options), os.kill(os.getpid(), signal.SIGKILL));"
        f"from testbed.testing import Testbed; Testbed.up(cable('held'), vm={vm!r}, hold=True)"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", script], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    eventually(lambda: not registry.alive("held"))


def test_a_testbed_that_is_stopped_is_named(client: Client, vm: str) -> None:
    """Every command ends with who does not answer; what was stopped goes on as if nothing were."""
    holder = registry.owner(NAME)
    assert holder is not None
    stopped = holder
    if vm != "never":
        children = Path(f"/proc/{holder}/task/{holder}/children").read_text().split()
        stopped = next(int(pid) for pid in children if "linux" in comm(pid))
    os.kill(stopped, signal.SIGSTOP)
    try:
        words = ["status"] if vm == "never" else ["exec", "one", "--", "true"]
        done = subprocess.run(
            command(*words), capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 3
        assert f"testbed {NAME} does not answer: process {stopped} is stopped" in done.stderr
        listed = subprocess.run(command("list"), capture_output=True, text=True, check=True).stdout
        assert "stopped" in listed
        assert "this kernel" not in listed
    finally:
        os.kill(stopped, signal.SIGCONT)
    assert client.run("one", ["true"], timeout=60).returncode == 0


def comm(pid: str) -> str:
    return Path(f"/proc/{pid}/comm").read_text()


@pytest.mark.parametrize("what", ["socket", "directory"])
def test_a_testbed_that_nobody_can_find_ends(
    vm: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user's runtime directory goes when they log out."""
    monkeypatch.setenv("TESTBED_RUNTIME_DIR", str(tmp_path / "run"))
    bring_up(cable("lost"), vm=vm)
    holder = registry.owner("lost")
    assert holder is not None
    if what == "socket":
        control_socket("lost").unlink()
    else:
        shutil.rmtree(tmp_path / "run")
    assert gone(holder)


def answer(payload: bytes) -> dict[str, Any]:
    """What the testbed answers to a first frame with this payload."""
    with dial(NAME) as sock:
        sock.settimeout(120)
        with contextlib.suppress(BrokenPipeError):
            sock.sendall(pack(Frame.MESSAGE, payload))
        stream = sock.makefile("rb")
        _, length = HEADER.unpack(stream.read(HEADER.size))
        message: dict[str, Any] = json.loads(stream.read(length))
        return message


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"[" * 200_000, "nested too deeply"),
        (b'{"op": "hello", "x": ' + b'{"a":' * 200_000, "nested too deeply"),
        (b"\xff", "not JSON"),
        (b"[]", "must be an object"),
        (b" " * (20 << 20), "not JSON"),
        (b" " * (MAX_REQUEST + 1), "bytes"),
    ],
    ids=["list", "object", "binary", "not an object", "large", "too large"],
)
def test_what_is_no_request_is_refused_in_words(
    client: Client, payload: bytes, expected: str
) -> None:
    error = answer(payload)["error"]
    assert "protocol error" in error["message"]
    assert expected in error["message"]
    assert client.hello(60)["name"] == NAME


RULES = """\
table inet site {{
    chain in {{
        type filter hook input priority 0
        {rule}
    }}
}}
"""


def ruled(ruleset: str) -> Plan:
    """The cable, with a ruleset that a user has written."""
    plan = cable()
    one = replace(plan.nodes[0], nftables=ruleset, own_ruleset=True)
    return replace(plan, nodes=(one, plan.nodes[1]))


def test_a_users_ruleset_is_loaded(client: Client) -> None:
    """With the names that nft knows, and a new one in the place of the old."""
    for rule in ('iif "e0" tcp dport ssh accept', "meta l4proto sctp drop"):
        client.apply(ruled(RULES.format(rule=rule)))
        listed = client.observe(["one"])["one"]["nftables"]
        assert listed.count("chain in") == 1
        assert rule.split()[-2] in listed or "22" in listed
    client.apply(cable())
    assert client.observe(["one"])["one"]["nftables"].strip() == ""


@pytest.mark.parametrize(
    ("ruleset", "message", "hint"),
    [
        ("delete table inet nope", "No such file or directory", "is not defined above"),
        ("table inet x {\n  nonsense\n}", "line 2, column 3: Error: syntax error", None),
        ('include "/etc/passwd"', "", None),
        ('include "/etc/pass*"\nnonsense', "line 2", None),
    ],
)
def test_a_users_ruleset_that_is_refused_changes_nothing(
    client: Client, ruleset: str, message: str, hint: str | None
) -> None:
    """Nor does what nft says of it show a file of this machine."""
    with pytest.raises(HostError) as raised:
        client.apply(ruled(ruleset))
    assert message in raised.value.message
    assert "root:" not in raised.value.message
    assert hint is None or hint in (raised.value.hint or "")
    assert client.plan()[0] == cable()
    assert not client.apply(cable())["changed"]


def test_a_name_does_not_steer_the_terminal(client: Client) -> None:
    """An interface that a program in a node has made may be called anything."""
    name = "\x1b]2;hi\x07\x9b"
    commands = [
        ["ip", "link", "add", name, "type", "veth", "peer", "name", "x1"],
        ["ip", "link", "set", name, "up"],
    ]
    for words in commands:
        assert client.run("one", words, timeout=60).returncode == 0
    try:
        eventually(lambda: any("hi" in event["subject"] for event in client.events()))
        for verb in (["events"], ["inspect", "one"], ["inspect", "one", "--json"]):
            done = subprocess.run(
                command(*verb),
                capture_output=True,
                text=True,
                check=True,
                env=os.environ | {"COLUMNS": "200"},
            )
            assert "\\x1b]2;hi\\x07" in done.stdout.replace("\\\\", "\\")
            assert not {"\x1b", "\x07", "\x9b", "\r"} & set(done.stdout)
    finally:
        client.run("one", ["ip", "link", "delete", name], timeout=60)


@pytest.mark.parametrize("place", ["/etc", "/usr", "/boot"])
def test_a_program_in_a_node_changes_no_file_of_this_machine(client: Client, place: str) -> None:
    """In this kernel it is told so; in a guest what it writes is the guest's own."""
    file = Path(place, f"testbed-{os.getpid()}")
    client.run("one", ["sh", "-c", f"mkdir -p {place}; echo x > {file}"], timeout=60)
    assert not file.exists()


def test_a_program_in_a_node_has_no_rights_that_no_network_needs(client: Client, vm: str) -> None:
    if vm != "never":
        pytest.skip("the guest's root is the guest's")
    words = client.run("one", ["grep", "CapBnd", "/proc/self/status"], timeout=60).text.split()
    bounding = int(words[1], 16)
    assert not [name for name, bit in UNNEEDED.items() if bounding >> bit & 1]
    assert bounding >> 12 & 1  # CAP_NET_ADMIN
    assert client.run("one", ["sh", "-c", "echo x > /tmp/$$ && rm /tmp/$$"]).returncode == 0
