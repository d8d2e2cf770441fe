"""Testbeds of an ordinary user: no root, no capability, no setuid program, in a guest.

The user is made for the test by setpriv, with a home and a runtime directory
that are new, and with no-new-privs.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from effort import times
from unprivileged import ROOT, TIMEOUT_S, User, ordinary_user, own_uid

from testbed.guest.kinds import KINDS

UID = own_uid()
MOMENTS = times(2, 16)
TWO_RACKS, RACK = "topologies/two-racks.yaml", "topologies/rack.yaml"

pytestmark = [
    pytest.mark.packets,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(KINDS["uml"]().problems()), reason="no user-mode kernel here"),
]


@pytest.fixture
def user() -> Iterator[User]:
    with ordinary_user(UID) as made:
        yield made


@pytest.fixture(params=["namespaces", "no namespaces"])
def either_user(request: pytest.FixtureRequest) -> Iterator[User]:
    """One who may make user namespaces, and one who may not."""
    with ordinary_user(UID, namespaces=request.param == "namespaces") as made:
        yield made


def test_two_racks(either_user: User) -> None:
    user = either_user
    user.ok("up", TWO_RACKS, "--vm", "uml")
    directory = user.runtime / "testbed" / "two-racks"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((directory / "control.sock").stat().st_mode) == 0o600
    assert [row["guest"] for row in json.loads(user.ok("list", "--json"))] == ["uml"]
    for pair in (("a", "b"), ("a", "c"), ("desk", "a")):
        user.ok("ping", *pair)
    assert user.ok("exec", "a", "--", "id", "-u").strip() == "0"
    assert json.loads(user.ok("status", "--json"))["ok"]
    seen = user.ok("exec", "cnd1", "--", "timeout", "20", "tcpdump", "-ni", "any", "-c", "1", "udp")
    assert ".443" in seen
    assert "two-racks: is down" in user.ok("down")
    user.check_nothing_is_left()


def test_bird_and_frr(user: User) -> None:
    user.ok("up", RACK, "--vm", "uml")
    sessions = json.loads(user.ok("status", "--json"))["bgp"]
    assert {session["state"] for session in sessions} == {"Established"}
    assert "cnd2" in {session["node"] for session in sessions}  # which runs FRR
    user.ok("ping", "web", "db")
    user.ok("exec", "op.sl", "--", "wg", "show")
    assert "table" in user.ok("exec", "op.host1", "--", "nft", "list", "ruleset")
    user.ok("down")
    user.check_nothing_is_left()


def test_the_guest_has_the_users_own_rights_over_the_hosts_files(user: User) -> None:
    """Whoever is root in the guest reads what the user may read, and writes nothing."""
    secret = user.base / "secret"
    secret.write_text("root's")
    secret.chmod(0o600)
    own = user.base / "home" / "own"
    own.write_text("the user's")
    own.chmod(0o600)
    os.chown(own, UID, UID)
    try:
        user.ok("up", "topologies/first.yaml", "--vm", "uml")
        assert user.testbed("exec", "web", "--", "cat", str(secret)).returncode != 0
        assert user.ok("exec", "web", "--", "cat", str(own)) == "the user's"
        assert user.testbed("exec", "web", "--", "cat", "/etc/shadow").returncode != 0
        for place in ("/etc", "/var", "/root", "/run", "/tmp"):
            user.ok("exec", "web", "--", "touch", f"{place}/rootless-{os.getpid()}")
            assert not Path(place, f"rootless-{os.getpid()}").exists()
        user.ok("exec", "web", "--", "mount", "-o", "remount,rw", "/")  # a setuid program
        shared = Path("/usr/bin/env")  # in no folder of which the guest has a copy of its own
        assert user.testbed("exec", "web", "--", "rm", "-f", str(shared)).returncode != 0
        assert shared.exists()
        user.testbed("exec", "web", "--", "rm", "-f", f"{ROOT}/README.md")
        assert (ROOT / "README.md").exists()
        assert own.read_text() == "the user's"
        user.ok("down")
    finally:
        own.unlink()
        secret.unlink()
    user.check_nothing_is_left()


def test_root_and_a_user_have_testbeds_of_the_same_name(
    user: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the same time, and neither sees or ends the other's."""
    monkeypatch.setenv("TESTBED_RUNTIME_DIR", str(tmp_path))

    def root(*arguments: str) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", "testbed", *arguments]
        return subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)

    def names(output: str) -> list[str]:
        return [row["name"] for row in json.loads(output)]

    up = ("up", "topologies/first.yaml", "-n", "same", "--vm", "uml", "--no-wait")
    try:
        assert root(*up).returncode == 0
        user.ok(*up)
        assert names(root("list", "--json").stdout) == names(user.ok("list", "--json")) == ["same"]
        # Whatever directory either is told to look into, the other's is not theirs.
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TESTBED_RUNTIME_DIR", str(user.runtime / "testbed"))
            assert names(root("list", "--json").stdout) == []
            assert root("down", "-n", "same").returncode == 0
            assert root("down", "--all").returncode == 0
            refused = root(*up)
            assert refused.returncode == 3
            assert "another user's" in refused.stderr
        assert names(user.ok("list", "--json")) == ["same"]
        user.ok("down", "--all")
        assert names(root("list", "--json").stdout) == ["same"]
    finally:
        root("down", "--all")
    user.check_nothing_is_left()
    assert not list(tmp_path.iterdir())


def test_killed_at_any_moment(either_user: User) -> None:
    """SIGKILL of the command, the relay or the guest's kernel leaves nothing of the user's."""
    user = either_user
    seed = random.randrange(1 << 32)
    moments = random.Random(seed)
    up = ("up", RACK, "--vm", "uml", "--no-wait")
    started = time.monotonic()
    user.ok(*up)
    duration = time.monotonic() - started
    user.ok("down")
    print(f"seed {seed}, up takes {duration:.1f} s")
    victims = ("testbed up", "testbed.guest.relay", "linux ")
    for number in range(MOMENTS):
        process = user.start(*up)
        moment = moments.uniform(0.1, 1.2 * duration)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(moment)
        victim = victims[number % len(victims)]
        hit = sorted(pid for pid, words in user.processes().items() if victim in words)[:1]
        print(f"{moment:.2f} s: SIGKILL to {victim} {hit}")
        for pid in hit:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait(TIMEOUT_S)
        user.testbed("down", "--all")
        user.check_nothing_is_left()
        assert json.loads(user.ok("list", "--json")) == []


def test_pytest_plugin(user: User) -> None:
    test = user.base / "home" / "test_user.py"
    test.write_text(
        "import os, pytest\n"
        f"@pytest.mark.topology({str(ROOT / TWO_RACKS)!r})\n"
        "def test_racks(testbed):\n"
        "    assert os.geteuid() != 0\n"
        "    with testbed['cnd1'].capture('op-a_1', 'vlan') as wire:\n"
        "        assert testbed['a'].ping('b').ok\n"
        "    assert wire.pcap\n"
    )
    options = ("-q", "-p", "no:cacheprovider", "--testbed-vm", "uml", "--rootdir", str(test.parent))
    done = user.python("-m", "pytest", *options, str(test))
    test.unlink()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    user.check_nothing_is_left()


def test_without_a_session_tmp_is_used(user: User) -> None:
    """A directory for this user only; one that somebody else has put there is refused."""
    code = "import testbed.control.protocol as p; print(p.runtime_directory())"
    words = ["env", "-u", "XDG_RUNTIME_DIR", *user.words("-c", code)]
    place = Path(f"/tmp/testbed-{UID}")

    def run() -> subprocess.CompletedProcess[str]:
        environment = user.environment()
        return subprocess.run(words, env=environment, capture_output=True, text=True, check=False)

    assert run().stdout.strip() == str(place)
    place.mkdir(mode=0o700)
    try:
        refused = run()
        assert refused.returncode != 0
        assert "is not private to user" in refused.stderr
    finally:
        place.rmdir()


def test_doctor(either_user: User) -> None:
    user = either_user
    found = json.loads(user.ok("doctor", "--json"))
    assert found["ok"]
    assert not found["root"]
    features = {feature["name"]: feature["ok"] for feature in found["features"]}
    assert features["namespaces"] == user.namespaces
    problems = [obstacle["problem"] for obstacle in found["obstacles"]]
    assert any("user.max_user_namespaces is 0" in text for text in problems) != user.namespaces
    assert found["way"] == ("native" if all(features.values()) else "uml")


NATIVE = """
import json, sys
from testbed.plan.model import Bridge, Interface, Node, Plan, Process, Veth
from testbed.plan.roles import Role
from testbed.testing import Testbed
rules = "table inet t {\\nchain c {\\ntype filter hook input priority 0\\ncounter\\n}\\n}\\n"
at = "/run/node/r"
daemon = lambda name, *after: Process(name, (
    name, "-f", f"{at}/{name}.conf", "-i", f"{at}/{name}.pid", "-z", f"{at}/zserv.api",
    "--vty_socket", at, "-P", "0", "--log", "stdout"), after=after)
frr = Node("r", Role.HOST, "x", processes=(daemon("zebra"), daemon("bgpd", "zserv.api")),
    files={"zebra.conf": "", "bgpd.conf": "router bgp 65001\\n"})
def host(n):
    end = Interface("e0", Veth("br", f"p{n}"), addresses=(f"10.0.0.{n}/24",))
    return Node(f"h{n}", Role.HOST, "x", interfaces=(end,), nftables=rules)
ports = tuple(Interface(f"p{n}", Veth(f"h{n}", "e0"), master="br0") for n in (1, 2))
bridge = Node("br", Role.HOST, "x", interfaces=(Interface("br0", Bridge()), *ports))
with Testbed.up(Plan("native", (frr, host(1), host(2), bridge)), vm="auto") as testbed:
    hello = testbed.client.hello()
    with testbed["h2"].capture("e0", "icmp") as wire:
        received = testbed["h1"].ping("h2").received
    print(json.dumps({
        "guest": hello["guest"], "received": received, "captured": len(wire.packets),
        "rules": testbed["h1"].run(["nft", "list", "ruleset"]).text,
        "vty": testbed["r"].run(["ls", at]).text,
        "processes": testbed["r"].run(["ps", "-A", "-o", "comm="]).text.split(),
        "first": testbed["h1"].run(["cat", "/proc/1/cmdline"]).text,
        "ok": testbed.status()["ok"],
    }))
"""


def test_in_this_kernel_where_it_has_what_the_plan_needs(user: User) -> None:
    """Natively: bridge, firewall, FRR (which would become another user), tcpdump (as well)."""
    done = user.python("-c", NATIVE)
    if "gives us no namespaces" in done.stderr:
        pytest.skip(done.stderr)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["guest"] is None
    assert found["received"] == 3
    assert found["captured"] == 6
    assert "counter packets" in found["rules"]
    assert "bgpd.vty" in found["vty"]
    assert {"zebra", "bgpd"} <= set(found["processes"])
    assert "testbed.keeper" in found["first"]
    assert found["ok"]
    user.check_nothing_is_left()
