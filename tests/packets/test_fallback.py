"""Where KVM seems usable and is not, the guest is emulated; where nothing comes up, once more.

QEMU is a stand-in that fails, or never gets its guest up, with `-accel kvm`;
without it, it is the real one. So is a user-mode kernel that first does nothing.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from testbed.control import console
from testbed.guest import uml_kernels
from testbed.guest.qemu import PROGRAM, QemuGuest
from testbed.testing import eventually

from .started import Started

pytestmark = [pytest.mark.packets]

PROBLEMS = "; ".join(QemuGuest().problems())

FAILURES = {
    "fails": "echo 'failed to initialize kvm: Operation not permitted' >&2; exit 1",
    "hangs": "exec sleep 600",
}
# A processor with vmx, and a /dev/kvm that opens; less patience than a real one gets.
RELAY = """\
from pathlib import Path
from testbed.guest import qemu, relay
qemu.CPUINFO, qemu.KVM = Path({cpuinfo!r}), Path("/dev/null")
relay.ACCELERATED_DEADLINE_S = 1.0
raise SystemExit(relay.main())
"""


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Started]]:
    """Start a guest on a host whose KVM fails in the given way."""
    monkeypatch.setenv("TESTBED_RUNTIME_DIR", str(tmp_path / "run"))
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nflags\t\t: fpu vmx avx\n")
    started: list[Started] = []

    def begin(way: str) -> Started:
        program = tmp_path / "bin" / PROGRAM
        program.parent.mkdir()
        real = shutil.which(PROGRAM)
        program.write_text(
            f'#!/bin/sh\ncase " $* " in *" -accel kvm "*) {FAILURES[way]} ;; esac\n'
            f'exec {real} "$@"\n'
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        code = RELAY.format(cpuinfo=str(cpuinfo))
        started.append(
            Started(
                "fallback",
                *("--guest", "qemu", "--keeper", "stand_in_keeper:Keeper"),
                program=("-c", code),
            )
        )
        return started[-1]

    yield begin
    for entry in started:
        entry.end()


@pytest.mark.skipif(bool(PROBLEMS), reason=PROBLEMS)
@pytest.mark.parametrize("way", FAILURES)
def test_a_guest_that_kvm_does_not_start_is_emulated(
    start: Callable[[str], Started], way: str
) -> None:
    guest = start(way)
    outcome = guest.outcome()
    assert outcome.get("ready"), outcome
    assert outcome["accelerated"] is False
    said = [message["progress"] for message in guest.messages if "progress" in message]
    assert said[0] == "booting a micro VM (qemu, accelerated by KVM)"
    assert said[1].startswith("not accelerated by KVM: the micro VM ")
    assert ("ended while it booted" if way == "fails" else "did not come up") in said[1]
    assert said[2] == "booting a micro VM (qemu, emulated)"
    assert guest.ask(op="hello")["pid"] == 1
    assert console.ended("fallback") is None
    assert sorted(guest.children()) == ["qemu-system-x86", "virtiofsd"]


@pytest.mark.parametrize("time", ["real", "virtual"])
def test_a_guest_that_does_not_come_up_is_booted_once_more(
    time: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = uml_kernels.find((), virtual_time=time == "virtual")
    if kernel is None:
        pytest.skip("no user-mode kernel here")
    monkeypatch.setenv("TESTBED_RUNTIME_DIR", str(tmp_path / "run"))
    program, hangs = tmp_path / "linux", tmp_path / "hangs"
    hangs.touch()
    program.write_text(f'#!/bin/sh\n[ -e {hangs} ] && exec sleep 600\nexec {kernel.path} "$@"\n')
    program.chmod(0o755)
    words = ["--virtual-time", "1"] if time == "virtual" else []
    guest = Started(
        "again",
        *("--guest", "uml", "--kernel", str(program), "--deadline-s", "10", *words),
        *("--keeper", "stand_in_keeper:Keeper"),
    )
    try:
        eventually(lambda: "sleep" in guest.children())
        hangs.unlink()
        outcome = guest.outcome()
        assert outcome.get("ready"), outcome
        said = [message["progress"] for message in guest.messages if "progress" in message]
        late = "the micro VM did not come up in 10 s: its kernel is not up"
        assert said[1] == f"once more: {late}"
        assert guest.ask(op="hello")["pid"] == 1
        assert console.ended("again") is None
    finally:
        guest.end()
