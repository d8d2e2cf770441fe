"""Guest kernels on this host: which there are, what they have, their modules.

A kernel is a pair of an image in /boot (or in its module directory, as on
Fedora) and a directory below /lib/modules.
"""

from __future__ import annotations

import gzip
import lzma
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from testbed.errors import HostError

MODULES = Path("/lib/modules")
BOOT = Path("/boot")

COMMON = ("virtio_pci", "virtio_console", "overlay")
"""Needed by every guest."""
VIRTIOFS = ("virtiofs",)
NINEP = ("9p", "9pnet_virtio")
NETWORK = (
    *("bonding", "dummy", "8021q", "vrf", "veth", "wireguard", "vxlan", "bridge"),
    *("nf_tables", "nft_ct", "nft_nat", "nft_chain_nat", "nft_masq", "nft_redir", "nft_limit"),
    *("nft_reject_inet", "nft_log", "nft_fib_inet", "nft_objref", "nft_hash", "nft_numgen"),
    *("sch_netem", "sch_prio", "sch_tbf", "sch_ingress", "act_mirred", "cls_matchall"),
)
"""Loaded in the background of the boot. What a kernel lacks here is the keeper's to report."""
WIRED = ("virtio_net", "cls_u32", "act_mirred", "sch_ingress")
"""Loaded, too, where host interfaces are attached."""


def normal(module: str) -> str:
    """Return the name of a module as the kernel writes it, from a name or a path."""
    return module.rpartition("/")[2].split(".ko")[0].replace("-", "_")


@dataclass(frozen=True)
class Kernel:
    """A kernel that a guest can boot."""

    version: str
    image: Path

    @property
    def directory(self) -> Path:
        """Where its modules are."""
        return MODULES / self.version

    @cached_property
    def dependencies(self) -> dict[str, list[str]]:
        """Paths of each module: its own, then what it depends on."""
        table = {}
        for line in (self.directory / "modules.dep").read_text().splitlines():
            path, _, needs = line.partition(":")
            table[normal(path)] = [path, *needs.split()]
        return table

    @cached_property
    def builtin(self) -> frozenset[str]:
        """Modules that are part of the image."""
        try:
            text = (self.directory / "modules.builtin").read_text()
        except OSError:
            return frozenset()
        return frozenset(normal(line) for line in text.splitlines())

    def has(self, *modules: str) -> bool:
        """Whether it has all of these, as modules or built in."""
        return all(normal(m) in self.dependencies or normal(m) in self.builtin for m in modules)

    def load_order(self, *modules: str) -> list[str]:
        """Return the paths of these modules and what they need, dependencies first."""
        order: dict[str, None] = {}
        for module in modules:
            for path in reversed(self.dependencies.get(normal(module), [])):
                order[path] = None
        return list(order)

    def read_module(self, path: str) -> bytes:
        """Return the plain content of a module, decompressed where need be."""
        data = (self.directory / path).read_bytes()
        if path.endswith(".xz"):
            return lzma.decompress(data)
        if path.endswith(".gz"):
            return gzip.decompress(data)
        if path.endswith(".zst"):
            return unzstd(data)
        return data


def unzstd(data: bytes) -> bytes:
    """Decompress zstd; raises HostError where neither Python nor the system can."""
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415

        return bytes(zstd.decompress(data))
    except ImportError:
        pass
    program = shutil.which("zstd")
    if program is None:
        raise HostError(
            "the guest kernel's modules are compressed with zstd", hint="apt-get install zstd"
        )
    return subprocess.run([program, "-dcq"], input=data, stdout=-1, check=True).stdout


def _age(kernel: Kernel) -> tuple[bool, list[int]]:
    # Debian's cloud kernel is smaller and boots faster than the general one.
    return ("cloud" in kernel.version, [int(n) for n in re.findall(r"\d+", kernel.version)])


def installed() -> list[Kernel]:
    """Return the kernels of this host that have modules, the preferred one first."""
    found = []
    names = os.listdir(MODULES) if MODULES.is_dir() else []  # noqa: PTH208
    for version in names:
        images = (BOOT / f"vmlinuz-{version}", MODULES / version / "vmlinuz")
        image = next((path for path in images if path.is_file()), None)
        if image is not None and (MODULES / version / "modules.dep").is_file():
            found.append(Kernel(version, image))
    return sorted(found, key=_age, reverse=True)
