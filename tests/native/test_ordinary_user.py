"""Testbeds of an ordinary user in this kernel: in a user namespace of their own, no sudo."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from effort import times
from unprivileged import ROOT, TIMEOUT_S, User, ordinary_user, own_uid

UID = own_uid()
MOMENTS = times(2, 12)
RACK, TWO_RACKS = "topologies/rack.yaml", "topologies/two-racks.yaml"
FIRST = "topologies/first.yaml"


@pytest.fixture
def user() -> Iterator[User]:
    with ordinary_user(UID) as made:
        yield made


def namespaces() -> set[str]:
    """The links in /run/netns, and the network interfaces of this namespace."""
    links = Path("/run/netns")
    found = {path.name for path in links.iterdir()} if links.is_dir() else set()
    return found | {path.name for path in Path("/sys/class/net").iterdir()}


def test_everything_works_as_with_root(user: User) -> None:
    """LACP, VLANs, VRFs, BIRD and FRR, WireGuard, VXLAN, netem, nftables: all of a rack."""
    before = namespaces()
    user.ok("up", RACK)
    (row,) = json.loads(user.ok("list", "--json"))
    assert row["guest"] is None
    status = json.loads(user.ok("status", "--json"))
    assert status["ok"]
    assert {session["state"] for session in status["bgp"]} == {"Established"}
    user.ok("ping", "web", "db")
    assert user.ok("exec", "web", "--", "id", "-u").strip() == "0"
    assert namespaces() == before
    assert user.processes()
    watched = ("timeout", "20", "tcpdump", "-ni", "any", "-c", "1", "udp")
    assert ".443" in user.ok("exec", "cnd1", "--", *watched)
    shown = user.ok("exec", "web", "--", "ps", "-A", "-o", "comm=")
    assert "bgpd" in shown
    assert "init" not in shown.split()
    user.ok("down")
    user.check_nothing_is_left()


def test_change_in_place(user: User) -> None:
    user.ok("up", TWO_RACKS)
    user.ok("ping", "a", "b")
    user.ok("up", "topologies/two-racks-blocked.yaml", "-n", "two-racks")
    assert user.testbed("ping", "a", "b", "-c", "1").returncode == 1
    user.ok("up", TWO_RACKS)
    user.ok("ping", "a", "b")
    user.ok("down")
    user.check_nothing_is_left()


def test_root_and_a_user_have_testbeds_of_the_same_name(
    user: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TESTBED_RUNTIME_DIR", str(tmp_path))

    def root(*arguments: str) -> str:
        words = [sys.executable, "-m", "testbed", *arguments]
        done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)
        assert done.returncode == 0, f"testbed {' '.join(arguments)}\n{done.stdout}{done.stderr}"
        return done.stdout

    try:
        root("up", FIRST, "-n", "same", "--vm", "never")
        user.ok("up", FIRST, "-n", "same", "--vm", "never")
        assert Path("/run/netns/same.web").exists()
        user.ok("ping", "web", "desk", "-n", "same")
        user.ok("down", "--all")
        assert Path("/run/netns/same.web").exists()
        root("ping", "web", "desk", "-n", "same")
    finally:
        root("down", "--all")
    user.check_nothing_is_left()


def test_handles_that_a_user_has_not_say_so(user: User) -> None:
    code = (
        "from testbed.testing import Testbed\n"
        f"with Testbed.up({str(ROOT / FIRST)!r}, vm='never') as testbed:\n"
        "    try:\n"
        "        testbed['web'].iproute()\n"
        "    except Exception as error:\n"
        "        print(type(error).__name__, error.hint)\n"
    )
    done = user.python("-c", code)
    assert done.stdout.startswith("HostError use run("), done.stderr
    user.check_nothing_is_left()


def test_killed_at_any_moment(user: User) -> None:
    """SIGKILL of the command or the keeper leaves nothing of the user's."""
    seed = random.randrange(1 << 32)
    moments = random.Random(seed)
    up = ("up", RACK, "--vm", "never", "--no-wait")
    started = time.monotonic()
    user.ok(*up)
    duration = time.monotonic() - started
    user.ok("down")
    print(f"seed {seed}, up takes {duration:.1f} s")
    for number in range(MOMENTS):
        process = user.start(*up)
        moment = moments.uniform(0.1, 1.2 * duration)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(moment)
        victim = ("testbed up", "testbed.keeper")[number % 2]
        hit = sorted(pid for pid, words in user.processes().items() if victim in words)[:1]
        print(f"{moment:.2f} s: SIGKILL to {victim} {hit}")
        for pid in hit:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait(TIMEOUT_S)
        user.testbed("down", "--all")
        user.check_nothing_is_left()


def test_setting_that_forbids_it() -> None:
    """The reason is named, and --vm never says no."""
    with ordinary_user(UID, namespaces=False) as user:
        refused = user.testbed("up", FIRST, "--vm", "never")
        assert refused.returncode == 3
        assert "gives us no namespaces" in refused.stderr
        doctor = user.testbed("doctor")
        assert "user.max_user_namespaces is 0" in doctor.stdout
        assert "sudo sysctl user.max_user_namespaces=" in doctor.stdout
        user.check_nothing_is_left()
