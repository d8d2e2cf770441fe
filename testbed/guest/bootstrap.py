"""What makes this Python, with this package, run as process 1 of a guest."""

from __future__ import annotations

import importlib.util
import json
import os
import py_compile
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import testbed
from testbed.guest.base import Boot, Guest
from testbed.guest.initramfs import find_busybox
from testbed.guest.kernels import NETWORK, WIRED
from testbed.guest.uml_time import INBOX_IN_GUEST, PARAMETERS

if TYPE_CHECKING:
    from testbed.guest.wires import Wire

KEEPER = "testbed.keeper.server:Keeper"
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
GUEST_PACKAGES = ("", "plan", "kernel", "keeper", "guest")


def prepare(
    name: str,
    guest: Guest,
    *,
    keeper: str = KEEPER,
    wires: tuple[Wire, ...] = (),
    seed: int | None = None,
) -> Boot:
    """Return the boot of testbed `name` in that kind of guest.

    With a `seed` its time is virtual, and chance in it begins with that number.
    """
    compile_package(Path(testbed.__file__).parent)
    modules = (*NETWORK, *WIRED) if wires else NETWORK
    parameters = {
        "name": name,
        "environment": {**environment(), "TESTBED_GUEST": guest.name},
        "modprobe": [str(find_busybox()), "modprobe", "-qa", *modules] if guest.has_modules else [],
        "port": guest.control_port,
        "mounts": guest.mounts(),
        "keeper": keeper,
        "wires": {wire.interface: wire.mac for wire in wires},
        "virtual": None if seed is None else {"seed": seed, "inbox": INBOX_IN_GUEST},
    }
    given = parameters if seed is None else f"{INBOX_IN_GUEST}/{PARAMETERS}"
    code = (
        f"import sys; sys.path[:] = {search_path()!r}; "
        f"from testbed.keeper.guest_main import main; main({given!r})"
    )
    # Neither a virtual environment nor a version manager's wrapper: both cost time.
    python = getattr(sys, "_base_executable", None) or sys.executable
    return Boot(
        name=name,
        python=os.path.realpath(python),
        code=code,
        wires=wires,
        virtual_time=seed is not None,
        parameters=json.dumps(parameters),
    )


def environment() -> dict[str, str]:
    """Return the environment of the guest's processes."""
    path = os.environ.get("PATH", "")
    extra = [entry for entry in path.split(":") if entry and entry not in SEARCH_PATH.split(":")]
    passed = {name: value for name, value in os.environ.items() if name.startswith("TESTBED_")}
    return {
        "PATH": ":".join([*extra, SEARCH_PATH]),
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "TERM": os.environ.get("TERM", "linux"),
        **passed,
    }


def search_path() -> list[str]:
    """Return this process's module search path, absolute, the standard library first."""
    package = str(Path(testbed.__file__).resolve().parent.parent)
    entries = [str(Path.cwd() / entry) for entry in sys.path if entry]
    library = [entry for entry in entries if entry.startswith(sys.base_prefix)]
    rest = [entry for entry in entries if entry not in library and entry != package]
    return list(dict.fromkeys([*library, package, *rest]))


def compile_package(package: Path) -> None:
    """Compile the modules that the guest imports, where their compiled form is missing or old.

    In the guest, compiling them would take seconds, and could not be kept.
    """
    for directory in GUEST_PACKAGES:
        for source in (package / directory).glob("*.py"):
            compiled = Path(importlib.util.cache_from_source(str(source)))
            try:
                if not compiled.exists() or not _is_current(source, compiled):
                    py_compile.compile(str(source), doraise=True)
            except (OSError, py_compile.PyCompileError):
                continue  # read-only, or not ours to judge: the import will tell


def _is_current(source: Path, compiled: Path) -> bool:
    header = compiled.read_bytes()[:16]
    status = source.stat()
    stamp = int(status.st_mtime) & 0xFFFFFFFF, status.st_size & 0xFFFFFFFF
    return header == (
        importlib.util.MAGIC_NUMBER
        + b"\0\0\0\0"
        + b"".join(number.to_bytes(4, "little") for number in stamp)
    )
