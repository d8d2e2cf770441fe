"""`testbed-container`: makes the root file system of a process, then becomes crun.

Everything that it mounts is in a mount namespace of its own, and so goes with the process.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from testbed.programs.container.bundle import UserError, configuration
from testbed.programs.container.images import ImageError, bundle

STATES = "/run/crun"
GROUPS = "/sys/fs/cgroup"
FAILED = 125  # what container engines exit with when a container cannot be made
PID_FILE = "pid"
CLONE_NEWNS = 0x00020000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 1 << 18

_libc = ctypes.CDLL(None, use_errno=True)


def main(argv: Sequence[str]) -> None:
    """Run the process that `argv` has as JSON; ends as it ends, or with FAILED."""
    task = json.loads(argv[0])
    # The interpreter ignores it, and what is ignored stays so in another program.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        words = prepare(task)
        os.execv(words[0], words)  # noqa: S606
    except (ImageError, UserError, OSError) as error:
        print(f"{task['name']} cannot be started: {error}", file=sys.stderr)  # noqa: T201
        raise SystemExit(FAILED) from None


def prepare(task: dict[str, Any]) -> list[str]:
    """Make the bundle in the process's own directory; return the command that runs it."""
    crun = shutil.which("crun")
    if crun is None:
        raise ImageError("crun is not installed here")
    image = bundle(task["container"]["image"], **task.get("images", {}))
    place = Path(task["directory"])
    for name in ("upper", "work", "root"):
        (place / name).mkdir(parents=True, exist_ok=True)
    (place / PID_FILE).unlink(missing_ok=True)
    _check(_libc.unshare(CLONE_NEWNS), "a mount namespace")
    _mount("none", "/", "", MS_REC | MS_PRIVATE)
    grouped = task["groups"] and _mount_groups()
    _mount_root(image.root, place)
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    spec = configuration(
        task,
        place / "root",
        image.process,
        allowed=int(status["CapBnd"], 16),
        file_systems=Path("/proc/filesystems").read_text(),
        grouped=grouped,
    )
    (place / "config.json").write_text(json.dumps(spec))
    shutil.rmtree(f"{STATES}/{task['id']}", ignore_errors=True)  # of one that was killed
    manager = "cgroupfs" if grouped else "disabled"
    options = ["--root", STATES, f"--cgroup-manager={manager}", "run", "--bundle", str(place)]
    pid_file = ["--pid-file", str(place / PID_FILE)]
    return [crun, *options, *pid_file, "--no-new-keyring", task["id"]]


def _mount_groups() -> bool:
    """Mount the control groups, which a micro VM has to itself."""
    if not Path(GROUPS, "cgroup.controllers").exists():
        _mount("cgroup2", GROUPS, "cgroup2", 0)
    return True


def _mount_root(lower: Path, place: Path) -> None:
    """Have the process's files over those of its image; the machine's own are as they are."""
    root = str(place / "root")
    if lower == Path("/"):
        _mount("/", root, "", MS_BIND | MS_REC)
        return
    options = f"lowerdir={lower},upperdir={place / 'upper'},workdir={place / 'work'}"
    _mount("overlay", root, "overlay", 0, options)


def _mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    arguments = (source.encode(), target.encode(), kind.encode(), flags, data.encode())
    _check(_libc.mount(*arguments), f"mounting {target}")


def _check(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
