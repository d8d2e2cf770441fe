"""What the shell forbids, and names that are none: a sentence and a remedy."""

from __future__ import annotations

import errno
import resource
from collections.abc import Callable

import pytest
from click.testing import Result

from testbed.cli import failures
from testbed.control import protocol
from testbed.errors import HostError
from testbed.guest import launcher

from .conftest import TOPOLOGY
from .fake_keeper import FakeKeeper


@pytest.mark.parametrize("words", [["status"], ["list"], ["down"], ["up", str(TOPOLOGY)]])
def test_an_empty_name_is_none(words: list[str], call: Callable[..., Result]) -> None:
    result = call(*words, "-n", "")
    assert result.exit_code == 2
    assert "'' is no name for a testbed" in result.stderr


def test_an_empty_variable_is_no_name(call: Callable[..., Result]) -> None:
    assert "no testbed is running" in call("list", env={"TESTBED_NAME": ""}).output


def test_a_relative_runtime_directory_is_refused(call: Callable[..., Result]) -> None:
    result = call("list", env={"TESTBED_RUNTIME_DIR": "run"})
    assert result.exit_code == 2
    assert "TESTBED_RUNTIME_DIR 'run' is not an absolute path" in result.stderr


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (OSError(errno.EMFILE, "x"), "ulimit -n"),
        (OSError(errno.ENFILE, "x"), "fs.file-max"),
        (OSError(errno.ENOMEM, "x"), "ulimit -v"),
        (BlockingIOError(errno.EAGAIN, "fork"), "ulimit -u"),
        (MemoryError(), "ulimit -v"),
        (ImportError("x.so: failed to map segment from shared object"), "ulimit -v"),
    ],
)
def test_what_a_limit_forbids_is_no_bug(
    error: Exception, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert failures._unexpected(error) == 3
    said = capsys.readouterr().err
    assert hint in said
    assert "bug" not in said


def test_without_a_descriptor_nobody_is_taken_for_dead(
    keeper: FakeKeeper, call: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what belongs to a living testbed would be swept away."""

    def none_left(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr("testbed.control.protocol.socket.socket", none_left)
        result = call("list")
    assert result.exit_code == 3
    assert "ulimit -n" in result.stderr
    assert protocol.control_socket(keeper.name).exists()


@pytest.mark.parametrize(
    ("kind", "limit", "message"),
    [
        (resource.RLIMIT_NOFILE, 64, "allows 64 open files"),
        (resource.RLIMIT_AS, 300 << 20, "limits address space to 300 MB"),
    ],
)
def test_a_guest_says_what_it_needs(
    kind: int, limit: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlimited = resource.RLIM_INFINITY
    limits = {resource.RLIMIT_NOFILE: 4096, resource.RLIMIT_AS: unlimited} | {kind: limit}
    monkeypatch.setattr(resource, "getrlimit", lambda which: (limits[which], unlimited))
    monkeypatch.setattr(launcher, "raise_file_limit", lambda: None)
    with pytest.raises(HostError, match=message):
        launcher.require_limits(2048)
