"""The initramfs: busybox, a few modules, and a script that mounts the host's file system.

Built in memory for each boot in some 10 ms, so there is no copy on disk that
could be stale.
"""

from __future__ import annotations

import os
import shutil
import stat
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.guest.kernels import normal

if TYPE_CHECKING:
    from testbed.guest.base import Boot
    from testbed.guest.kernels import Kernel

PT_INTERP = 3  # program header of what needs a dynamic linker

PRIVATE = ("etc", "home", "root", "tmp", "var")
"""Top-level directories that the guest may write to; nothing of it reaches the host."""
APPLETS = ("sh", "mkdir", "modprobe", "mount", "switch_root")

# One process per tool matters: each costs some 10 ms under emulation. `read`
# takes the command from a file, so that nothing in it needs quoting.
INIT = """#!/bin/sh
mount -t proc proc /proc
modprobe -a {modules}
mount -t {root_type} -o {root_options} root /root || {{
    echo "testbed: the host's file system cannot be mounted"
    exit 1
}}
mount -t devtmpfs dev /root/dev
mount -t tmpfs -o mode=755 run /root/run
mkdir -p {directories}
mount -a -T /fstab
IFS= read -r python < /python
IFS= read -r code < /code
exec switch_root /root "$python" -I -S -B -X utf8 -c "$code"
"""


class Archive:
    """A cpio archive of the "newc" kind, the one that kernels unpack."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._inode = 0

    def _entry(
        self, name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)
    ) -> None:
        self._inode += 1
        path = name.encode() + b"\0"
        fields = (self._inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(path), 0)
        header = b"070701" + b"".join(b"%08x" % field for field in fields) + path
        self._parts += [header, bytes(-len(header) % 4), data, bytes(-len(data) % 4)]

    def directory(self, name: str) -> None:
        """Add a directory; its parents come before it."""
        self._entry(name, stat.S_IFDIR | 0o755)

    def file(self, name: str, data: bytes, mode: int = 0o644) -> None:
        """Add a file."""
        self._entry(name, stat.S_IFREG | mode, data)

    def link(self, name: str, target: str) -> None:
        """Add a symbolic link."""
        self._entry(name, stat.S_IFLNK | 0o777, target.encode())

    def device(self, name: str, major: int, minor: int) -> None:
        """Add a character device."""
        self._entry(name, stat.S_IFCHR | 0o600, device=(major, minor))

    def finish(self) -> bytes:
        """Return the archive."""
        self._entry("TRAILER!!!", 0)
        return b"".join(self._parts)


def find_busybox() -> Path | None:
    """Return this host's statically linked busybox, the only kind that runs in an initramfs."""
    for name in ("busybox", "busybox.static", "busybox-static"):
        path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/bin:/bin")
        if path is not None and is_static(Path(path)):
            return Path(path).resolve()
    return None


def is_static(program: Path) -> bool:
    """Whether an ELF program runs without a dynamic linker."""
    with program.open("rb") as file:
        head = file.read(64 * 1024)
    if head[:4] != b"\x7fELF":
        return False
    (table,) = struct.unpack_from("<Q", head, 0x20)
    size, count = struct.unpack_from("<HH", head, 0x36)
    kinds = [struct.unpack_from("<I", head, table + index * size)[0] for index in range(count)]
    return PT_INTERP not in kinds


def private_directories() -> list[str]:
    """Return those of PRIVATE that this host has as directories of their own."""
    return [
        name for name in PRIVATE if Path("/", name).is_dir() and not Path("/", name).is_symlink()
    ]


def extra_root_options() -> str:
    """Return how the host's files are mounted in the guest of this user, besides read-only.

    To an ordinary user's guest root's files seem to be nobody's: its setuid
    programs (mount, su) would make their callers that.
    """
    return "" if os.geteuid() == 0 else "nosuid"


def fstab(private: list[str], root: str = "/root") -> str:
    """Return the table of what is mounted below the guest's root.

    A directory that this user may not read is an empty one there.
    """
    lines = [
        f"proc {root}/proc proc rw 0 0",
        f"sys {root}/sys sysfs rw 0 0",
        f"devpts {root}/dev/pts devpts gid=5,mode=620,ptmxmode=666 0 0",
        f"shm {root}/dev/shm tmpfs mode=1777 0 0",  # noqa: S108
    ]
    for name in private:
        if not os.access(f"/{name}", os.R_OK | os.X_OK):  # root's home, for an ordinary user
            lines.append(f"{name} {root}/{name} tmpfs mode=700 0 0")
            continue
        layers = f"{root}/run/.testbed/{name}"
        options = f"lowerdir={root}/{name},upperdir={layers}/upper,workdir={layers}/work"
        lines.append(f"{name} {root}/{name} overlay {options} 0 0")
    return "\n".join(lines) + "\n"


def build(
    kernel: Kernel, boot: Boot, *, busybox: Path, root: tuple[str, str, tuple[str, ...]]
) -> bytes:
    """Build the archive.

    `root` is how the host's file system is mounted: its type, its options and
    the modules that it needs.
    """
    root_type, root_options, modules = root
    private = private_directories()
    layers = [f"/root/run/.testbed/{d}/{part}" for d in private for part in ("upper", "work")]
    archive = Archive()
    for name in (
        "bin",
        "dev",
        "proc",
        "root",
        "lib",
        "lib/modules",
        f"lib/modules/{kernel.version}",
    ):
        archive.directory(name)
    archive.device("dev/console", 5, 1)
    archive.device("dev/null", 1, 3)
    archive.file("bin/busybox", busybox.read_bytes(), 0o755)
    for applet in APPLETS:
        archive.link(f"bin/{applet}", "busybox")
    _add_modules(archive, kernel, modules)
    init = INIT.format(
        modules=" ".join(m for m in modules if normal(m) in kernel.dependencies),
        root_type=root_type,
        root_options=",".join(filter(None, (root_options, extra_root_options()))),
        directories=" ".join(["/root/dev/pts", "/root/dev/shm", *layers]),
    )
    archive.file("init", init.encode(), 0o755)
    archive.file("fstab", fstab(private).encode())
    archive.file("python", os.fsencode(boot.python) + b"\n")
    archive.file("code", boot.code.encode() + b"\n")
    return archive.finish()


def _add_modules(archive: Archive, kernel: Kernel, modules: tuple[str, ...]) -> None:
    def plain(path: str) -> str:
        return path.rpartition("/")[2].split(".ko")[0] + ".ko"

    table = []
    for path in kernel.load_order(*modules):
        archive.file(f"lib/modules/{kernel.version}/{plain(path)}", kernel.read_module(path))
        needs = next(needs for needs in kernel.dependencies.values() if needs[0] == path)[1:]
        table.append(f"{plain(path)}: {' '.join(plain(need) for need in needs)}\n")
    archive.file(f"lib/modules/{kernel.version}/modules.dep", "".join(table).encode())
