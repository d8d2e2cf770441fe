"""An ordinary user for a test: a number, a home and a runtime directory, and no right at all."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PLACES = ("/dev/shm", "/tmp", "/var/tmp", "/run")
TIMEOUT_S = 300

# Root of a user namespace with many users forbids that any further one is made.
WITHOUT_NAMESPACES = """
import ctypes, os, sys
ready, go = os.pipe(), os.pipe()
child = os.fork()
if child == 0:
    assert ctypes.CDLL(None).unshare(0x10000000) == 0
    os.write(ready[1], b"x")
    os.read(go[0], 1)
    with open("/proc/sys/user/max_user_namespaces", "w") as setting:
        setting.write("0")
    os.execvp(sys.argv[1], sys.argv[1:])
os.read(ready[0], 1)
for name in ("uid_map", "gid_map"):
    with open(f"/proc/{child}/{name}", "w") as table:
        table.write("0 0 65536")
os.write(go[1], b"x")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def own_uid() -> int:
    """A user that no other process of tests has: what is left of it is told by its number."""
    return 20_000 + os.getpid() % 40_000


def as_user(uid: int) -> list[str]:
    """The words that make a command run as the user."""
    ids = [f"--reuid={uid}", f"--regid={uid}"]
    return ["setpriv", *ids, "--clear-groups", "--no-new-privs"]


@functools.cache
def python(uid: int) -> tuple[str, str]:
    """A Python that the user can run the package with, and its PYTHONPATH."""
    path = f"{ROOT}:{sysconfig.get_path('purelib')}"
    code = (
        "import subprocess, sys, testbed.lifecycle.bringup, pydantic, cryptography, scapy, pytest\n"
        "subprocess.run([sys.executable, '-c', ''], check=True)"
    )
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    for program in (sys.executable, shutil.which(version, path="/usr/bin:/usr/local/bin")):
        if program is not None:
            done = subprocess.run(
                [*as_user(uid), program, "-c", code],
                env={"PATH": "/usr/bin:/bin", "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
                capture_output=True,
                check=False,
                cwd="/",
            )
            if done.returncode == 0:
                return program, path
    pytest.skip("an ordinary user cannot read this checkout, or run its Python")


@dataclass
class User:
    """An ordinary user; `namespaces` false: one whom the kernel gives no user namespace."""

    uid: int
    base: Path
    namespaces: bool = True
    known: frozenset[str] = frozenset()

    @property
    def runtime(self) -> Path:
        """XDG_RUNTIME_DIR."""
        return self.base / "run"

    def environment(self) -> dict[str, str]:
        _, path = python(self.uid)
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": str(self.base / "home"),
            "XDG_RUNTIME_DIR": str(self.runtime),
            "PYTHONPATH": path,
            "PYTHONDONTWRITEBYTECODE": "1",
            **{
                name: os.environ[name]
                for name in ("TESTBED_UML_KERNEL", "TESTBED_GUEST_KIND")
                if name in os.environ
            },
        }

    def words(self, *arguments: str) -> list[str]:
        """The command line of Python with these arguments, run as the user."""
        limits = [] if self.namespaces else [sys.executable, "-c", WITHOUT_NAMESPACES]
        return [*limits, *as_user(self.uid), python(self.uid)[0], *arguments]

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.words(*arguments),
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
            cwd=ROOT,
        )

    def testbed(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.python("-m", "testbed", *arguments)

    def ok(self, *arguments: str) -> str:
        """What the command line prints when it succeeds."""
        done = self.testbed(*arguments)
        assert done.returncode == 0, f"testbed {' '.join(arguments)}\n{done.stdout}{done.stderr}"
        return done.stdout

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start the command line, without waiting."""
        return subprocess.Popen(
            self.words("-m", "testbed", *arguments),
            env=self.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
        )

    def processes(self) -> dict[int, str]:
        """The user's processes, by number."""
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if entry.stat().st_uid == self.uid:
                    found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
        return found

    def files(self) -> list[str]:
        """The user's files where testbeds could leave some."""
        files = (path for path in self.base.rglob("*") if not path.is_dir())
        found = [str(path) for path in files if path.parent.name != "scapy"]  # its own cache
        for place in PLACES:
            with contextlib.suppress(OSError):
                mine = (path for path in Path(place).iterdir() if path.lstat().st_uid == self.uid)
                found += [str(path) for path in mine if path != self.base]
        return [path for path in found if path not in self.known]

    def check_nothing_is_left(self) -> None:
        """No process and no file; processes have some time to end."""
        wait_until(lambda: not self.processes())
        running = self.processes()
        assert not running, running
        left = self.files()
        assert not left, left


def wait_until(condition: Callable[[], bool], seconds: float = 15) -> None:
    """Wait for a condition; the caller says what it means that it did not come true."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)


@contextlib.contextmanager
def ordinary_user(uid: int, *, namespaces: bool = True) -> Iterator[User]:
    """A user who has never been here before."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    base = Path(tempfile.mkdtemp(prefix="user-", dir="/tmp"))
    base.chmod(0o711)
    for name in ("home", "run"):
        (base / name).mkdir(mode=0o700)
        os.chown(base / name, uid, uid)
    os.chown(base, uid, uid)
    user = User(uid, base, namespaces)
    user.known = frozenset(user.files())
    try:
        yield user
    finally:
        user.testbed("down", "--all")
        shutil.rmtree(base)
