"""Building a user-mode kernel for the guest, and storing it beside those that are there.

Everything happens below `uml_kernels.store()`: what is being built in
`.work`, which stays when a build is interrupted, so that the next one goes on
where it stopped; what is done in VERSION-CONFIGHASH, put there by one rename.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.errors import HostError, UsageError
from testbed.guest import kernel_source, processes
from testbed.guest.uml_kernels import PROGRAM, UmlKernel, store

if TYPE_CHECKING:
    from testbed.guest.kernel_source import Progress

OPTIONS = Path(__file__).with_name("uml.config")
OBJECTS = 1010
"""Files that a build compiles, for its progress: those of 7.2."""
SPACE = 2 * 1024**3
TOOLS = {
    "gcc": "gcc",
    "make": "make",
    "flex": "flex",
    "bison": "bison",
    "bc": "bc",
    "strip": "binutils",
    "tar": "tar",
    "xz": "xz-utils",
}
LIBRARY = ("/usr/lib/x86_64-linux-gnu/libc.a", "/usr/lib64/libc.a", "/usr/lib/libc.a")


@dataclass(frozen=True)
class Built:
    """The outcome of a build. `seconds` is what it took, 0 when the kernel was there already."""

    kernel: UmlKernel
    seconds: float


def config_hash() -> str:
    """Return what tells this configuration from others."""
    return hashlib.sha256(OPTIONS.read_bytes()).hexdigest()[:8]


def current() -> UmlKernel | None:
    """Return the newest kernel of this user's that has the present configuration."""
    found = [UmlKernel(path) for path in store().glob(f"[0-9]*-{config_hash()}/{PROGRAM}")]
    return max(found, key=lambda kernel: kernel.path.stat().st_mtime, default=None)


def missing_packages() -> list[str]:
    """Return the Debian packages that a build needs and are not there."""
    packages = [package for tool, package in TOOLS.items() if shutil.which(tool) is None]
    if not any(Path(path).exists() for path in LIBRARY):
        packages.append("libc6-dev")
    return packages


def install(packages: list[str], progress: Progress) -> None:
    """Install what a build needs; raises HostError where that is not possible."""
    words = " ".join(packages)
    hint = f"apt-get install {words}"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise HostError(f"to build a kernel, {words} are missing", hint=hint)
    progress(f"installing {words}", None)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "-q", "-y", "--no-install-recommends", "install", *packages]
    for words_before in ([], ["apt-get", "-q", "update"]):
        if words_before:
            subprocess.run(words_before, capture_output=True, check=False, env=environment)
        done = subprocess.run(command, capture_output=True, check=False, env=environment)
        if done.returncode == 0:
            return
    raise HostError(f"{words} cannot be installed", hint=hint)


def build(source: Path | None, progress: Progress, *, jobs: int | None = None) -> Built:
    """Build a kernel from `source` (a tarball, package or directory; None: the distribution's).

    `progress` is called with what is being done and how much of it is done
    (0 to 1, None where that is not known). Raises HostError, UsageError.
    """
    if os.uname().machine != "x86_64":
        raise HostError("a user-mode kernel needs an x86-64 host")
    if source is not None and not source.exists():
        raise UsageError(f"{source} does not exist")
    started = time.monotonic()
    if packages := missing_packages():
        install(packages, progress)
    with _work(progress) as (work, lock):
        tree = _tree(work, source, progress)
        version = _version(tree)
        objects = work / f"objects-{version}-{config_hash()}"
        _configure(tree, objects, progress)
        _make(tree, objects, progress, jobs or len(os.sched_getaffinity(0)), lock)
        kernel = _store(objects, version, tree)
        shutil.rmtree(work)
    return Built(kernel, time.monotonic() - started)


@contextlib.contextmanager
def _work(progress: Progress) -> Iterator[tuple[Path, int]]:
    """Hold the directory in which kernels are built; with the descriptor of its lock."""
    work = store() / ".work"
    try:
        work.mkdir(parents=True, exist_ok=True)
        lock = os.open(store() / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        hint = "use TESTBED_CACHE_DIR to name another place"
        raise HostError(f"{store()} cannot be written to: {error.strerror}", hint=hint) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another build", None)
            fcntl.flock(lock, fcntl.LOCK_EX)
        work.mkdir(exist_ok=True)
        if shutil.disk_usage(work).free < SPACE:
            hint = "the build needs 2 GB; use TESTBED_CACHE_DIR to name another place"
            raise HostError(f"not enough space in {store()}", hint=hint)
        yield work, lock
    finally:
        os.close(lock)


def _tree(work: Path, source: Path | None, progress: Progress) -> Path:
    """Return the source's directory; what an interrupted build has unpacked is used again."""
    if source is not None and source.is_dir():
        return source.resolve()
    origin = f"{source.resolve()} {source.stat().st_mtime_ns}" if source else "distribution"
    tree, stamp = work / "source", work / "source.from"
    if stamp.exists() and stamp.read_text() == origin:
        return tree
    archive = source or kernel_source.distribution_package(work, progress)
    progress("unpacking the source", None)
    shutil.rmtree(tree, ignore_errors=True)
    kernel_source.unpack(archive, tree)
    stamp.write_text(origin)
    if source is None:
        archive.unlink()
    return tree


def _version(tree: Path) -> str:
    try:
        text = (tree / "Makefile").read_text()
    except OSError as error:
        raise UsageError(f"{tree} is not a kernel's source: {error.strerror}") from error
    fields = dict(re.findall(r"^(VERSION|PATCHLEVEL|SUBLEVEL) = (\d+)$", text, re.MULTILINE))
    if len(fields) != 3:
        raise UsageError(f"{tree} is not a kernel's source: its Makefile has no version")
    return f"{fields['VERSION']}.{fields['PATCHLEVEL']}.{fields['SUBLEVEL']}"


# Kconfig refuses a static link with the vector driver, whose GRE and L2TP
# transports look names up; those for tap, packet sockets and descriptors don't.
STATIC = (
    "CONFIG_LD_SCRIPT_STATIC=y",
    "CONFIG_LD_SCRIPT_DYN=",
    "KCPPFLAGS=-DCONFIG_LD_SCRIPT_STATIC=1",
)
# Looking for what to warn of costs 5 % of the time; the warnings are its makers' to read.
QUIET = "KCFLAGS=-w"


def _command(tree: Path, objects: Path, *words: str) -> list[str]:
    compiler = "ccache gcc" if shutil.which("ccache") else "gcc"
    common = ("make", "-C", str(tree), f"O={objects}", "ARCH=um", f"CC={compiler}")
    return [*common, "KBUILD_BUILD_USER=testbed", "KBUILD_BUILD_HOST=testbed", *words]


def _environment() -> dict[str, str]:
    passed = ("PATH", "HOME", "CCACHE_DIR", "TMPDIR")
    kept = {name: os.environ[name] for name in passed if name in os.environ}
    # Without depend mode ccache runs the preprocessor before each compiler that it cannot spare.
    return kept | {"LC_ALL": "C", "CCACHE_DEPEND": "1"}


def _configure(tree: Path, objects: Path, progress: Progress) -> None:
    objects.mkdir(exist_ok=True)
    if (objects / ".config").exists():
        return
    progress("configuring", None)
    done = subprocess.run(
        _command(tree, objects, f"KCONFIG_ALLCONFIG={OPTIONS}", "allnoconfig"),
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env=_environment(),
    )
    if done.returncode:
        (objects / ".config").unlink(missing_ok=True)
        raise _failure("the kernel cannot be configured", done.stdout + done.stderr)


def _make(tree: Path, objects: Path, progress: Progress, jobs: int, lock: int) -> None:
    """Compile and link. Objects that an interrupted build has made are not made again.

    Make ends when this process does, at which it removes what is half done.
    Until the last compiler has ended the lock is held, by it.
    """

    def child() -> None:
        processes.libc.prctl(processes.PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)

    log = objects / "build.log"
    made = sum(1 for _ in objects.rglob("*.o")) if log.exists() else 0
    with log.open("w") as file:
        process = subprocess.Popen(
            _command(tree, objects, f"-j{jobs}", *STATIC, QUIET, "linux"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=_environment(),
            process_group=0,
            pass_fds=(lock,),
            preexec_fn=child,  # noqa: PLW1509  there is no other thread
        )
        assert process.stdout is not None
        try:
            for line in process.stdout:
                file.write(line)
                made += line.startswith("  CC ")
                progress("compiling", min(0.99, made / OBJECTS))
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            code = process.wait()
    if code:
        raise _failure("the kernel cannot be built", log.read_text(errors="replace"))


def _failure(message: str, output: str) -> HostError:
    lines = output.splitlines()
    telling = [line for line in lines if re.search(r"error|fatal|not clean|\*\*\*", line)]
    return HostError("\n".join([message, *(telling or lines)[:8]]))


def _store(objects: Path, version: str, tree: Path) -> UmlKernel:
    """Put the kernel where it is found, after a look at what it can do."""
    new = store() / ".new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    subprocess.run(["strip", "-o", new / PROGRAM, objects / "linux"], check=True)
    shutil.copy(objects / ".config", new / "config")
    about = {"version": version, "config": config_hash(), "source": str(tree.name)}
    (new / "kernel.json").write_text(json.dumps(about, indent=2) + "\n")
    kernel = UmlKernel(new / PROGRAM)
    if complaints := [*kernel.problems(), *(f"no {name}" for name in kernel.lacking())]:
        raise HostError(f"the kernel was built, but cannot be used: {'; '.join(complaints)}")
    target = store() / f"{version}-{config_hash()}"
    old = store() / ".old"
    shutil.rmtree(old, ignore_errors=True)
    with contextlib.suppress(FileNotFoundError):
        target.rename(old)
    new.rename(target)
    shutil.rmtree(old, ignore_errors=True)
    return UmlKernel(target / PROGRAM)
