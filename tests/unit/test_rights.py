"""What ordinary users may do, what they are told about it, and where their testbeds are."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.control.protocol import runtime_directory
from testbed.errors import HostError
from testbed.kernel import pretence, rights

USER = 61236
ALLOW, PRETEND = 0x7FFF0000, 0x00050000


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A /proc of a kernel that forbids nothing."""
    for name, text in {
        "self/ns/user": "",
        "self/status": "Name:\tx\nSeccomp:\t0\nSeccomp_filters:\t0\n",
        "self/mountinfo": "22 27 0:21 / /proc rw,relatime - proc proc rw\n",
        "sys/user/max_user_namespaces": "96365\n",
    }.items():
        path = tmp_path / "proc" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(rights, "PROC", tmp_path / "proc")
    return tmp_path / "proc"


def test_nothing_is_in_the_way(proc: Path) -> None:
    assert rights.obstacles(root=False) == []
    assert rights.obstacles(root=True) == []


@pytest.mark.parametrize(
    ("file", "text", "setting"),
    [
        ("sys/kernel/unprivileged_userns_clone", "0\n", "kernel.unprivileged_userns_clone=1"),
        ("sys/user/max_user_namespaces", "0\n", "user.max_user_namespaces=16384"),
        (
            "sys/kernel/apparmor_restrict_unprivileged_userns",
            "1\n",
            "kernel.apparmor_restrict_unprivileged_userns=0",
        ),
    ],
)
def test_setting_that_forbids_namespaces(proc: Path, file: str, text: str, setting: str) -> None:
    path = proc / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    (found,) = rights.obstacles(root=False)
    assert found.remedy == f"sudo sysctl {setting}"
    assert setting.partition("=")[0] in found.problem
    assert rights.obstacles(root=True) == []


def test_container(proc: Path) -> None:
    (proc / "self/status").write_text("Name:\tx\nSeccomp:\t2\n")
    (proc / "self/mountinfo").write_text(
        "22 27 0:21 / /proc rw - proc proc rw\n"
        "23 22 0:5 /null /proc/kcore rw - tmpfs tmpfs rw\n"
        "24 22 0:21 /sys /proc/sys ro - proc proc rw\n"
        "25 22 0:9 / /proc/sys/fs/binfmt_misc rw - autofs x rw\n"
    )
    seccomp, masked = rights.obstacles(root=False)
    assert "seccomp=unconfined" in seccomp.remedy
    assert "(/proc/kcore, /proc/sys)" in masked.problem
    assert "systempaths=unconfined" in masked.remedy
    assert len(rights.obstacles(root=True)) == 2


def test_kernel_without_user_namespaces(proc: Path) -> None:
    (proc / "self/ns/user").unlink()
    assert [found.remedy for found in rights.obstacles(root=False)] == [
        "use a kernel with CONFIG_USER_NS"
    ]


def answer(machine: str, architecture: int, number: int) -> int:
    """What the filter says to a call, by running it."""
    code = [struct.unpack_from("=HBBI", line) for line in chunks(pretence.instructions(machine))]
    accumulator = position = 0
    while True:
        operation, if_true, if_false, value = code[position]
        position += 1
        if operation == 0x20:
            accumulator = {0: number, 4: architecture}[value]
        elif operation == 0x15:
            position += if_true if accumulator == value else if_false
        else:
            assert operation == 0x06
            return int(value)


def chunks(data: bytes) -> list[bytes]:
    return [data[start : start + 8] for start in range(0, len(data), 8)]


@pytest.mark.parametrize("machine", pretence.CALLS)
@given(number=st.integers(0, 600))
def test_only_the_calls_that_change_users_are_answered(machine: str, number: int) -> None:
    architecture, numbers = pretence.CALLS[machine]
    wanted = PRETEND if number in numbers else ALLOW
    assert answer(machine, architecture, number) == wanted
    assert answer(machine, architecture ^ 1, number) == ALLOW


@pytest.mark.parametrize("machine", pretence.CALLS)
def test_every_one_of_them_is_answered(machine: str) -> None:
    architecture, numbers = pretence.CALLS[machine]
    assert {answer(machine, architecture, number) for number in numbers} == {PRETEND}


@pytest.fixture
def as_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: USER)
    for name in ("TESTBED_RUNTIME_DIR", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("as_user")
def test_runtime_directory_of_another_user_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`su` passes XDG_RUNTIME_DIR on."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert runtime_directory() == Path(f"/tmp/testbed-{USER}")
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid or USER)
    if tmp_path.stat().st_uid:
        assert runtime_directory() == tmp_path / "testbed"


@pytest.mark.usefixtures("as_user")
@pytest.mark.parametrize("kind", ["directory", "link", "file"])
def test_what_somebody_else_put_into_tmp_is_refused(kind: str) -> None:
    place = Path(f"/tmp/testbed-{USER}")
    match kind:
        case "directory":
            place.mkdir(mode=0o700)
        case "link":
            place.symlink_to("/")
        case _:
            place.touch()
    try:
        with pytest.raises(HostError, match="is not private to user"):
            runtime_directory()
    finally:
        if kind == "directory":
            place.rmdir()
        else:
            place.unlink()
