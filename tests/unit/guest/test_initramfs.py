from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from testbed.guest import initramfs, kernels, vmlinux
from testbed.guest.base import Boot
from testbed.guest.kernels import Kernel


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    """A made-up kernel: b needs a, c is compressed, d is built in."""
    monkeypatch.setattr(kernels, "MODULES", tmp_path / "modules")
    monkeypatch.setattr(kernels, "BOOT", tmp_path / "boot")
    directory = tmp_path / "modules" / "6.1.0-9-amd64"
    directory.mkdir(parents=True)
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot" / "vmlinuz-6.1.0-9-amd64").write_bytes(b"")
    (directory / "modules.dep").write_text(
        "k/a-1.ko:\nk/b.ko: k/a-1.ko\nk/c.ko.xz: k/b.ko k/a-1.ko\n"
    )
    (directory / "modules.builtin").write_text("kernel/d.ko\n")
    (directory / "k").mkdir()
    for name in ("a-1", "b"):
        (directory / "k" / f"{name}.ko").write_text(name)
    import lzma

    (directory / "k" / "c.ko.xz").write_bytes(lzma.compress(b"c"))
    return Kernel("6.1.0-9-amd64", tmp_path / "boot" / "vmlinuz-6.1.0-9-amd64")


def test_dependencies_are_loaded_first(kernel: Kernel) -> None:
    assert kernel.load_order("c", "d", "a_1") == ["k/a-1.ko", "k/b.ko", "k/c.ko.xz"]


def test_modules_may_be_built_in(kernel: Kernel) -> None:
    assert kernel.has("a-1", "a_1", "b", "d")
    assert not kernel.has("b", "e")


def test_cloud_kernels_then_newer_ones_are_preferred(kernel: Kernel) -> None:
    for version in ("6.1.0-10-amd64", "6.1.0-2-cloud-amd64", "7.0.0-image-missing"):
        shutil.copytree(kernel.directory, kernels.MODULES / version)
        if "missing" not in version:
            (kernels.BOOT / f"vmlinuz-{version}").write_bytes(b"")
    versions = [found.version for found in kernels.installed()]
    assert versions == ["6.1.0-2-cloud-amd64", "6.1.0-10-amd64", "6.1.0-9-amd64"]


def unpack(archive: bytes) -> dict[str, tuple[int, bytes]]:
    files: dict[str, tuple[int, bytes]] = {}
    at = 0
    while True:
        assert archive[at : at + 6] == b"070701"
        fields = [int(archive[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        mode, size, name_size = fields[1], fields[6], fields[11]
        name = archive[at + 110 : at + 109 + name_size].decode()
        start = at + 110 + name_size + -(110 + name_size) % 4
        if name == "TRAILER!!!":
            return files
        files[name] = (mode, archive[start : start + size])
        at = start + size + -size % 4


def test_archive_holds_what_the_boot_needs(kernel: Kernel, tmp_path: Path) -> None:
    busybox = tmp_path / "busybox"
    busybox.write_bytes(b"box")
    boot = Boot(name="n", python="/a b/$(python)", code="print('x')")
    files = unpack(initramfs.build(kernel, boot, busybox=busybox, root=("9p", "ro", ("c", "d"))))
    modules = "lib/modules/6.1.0-9-amd64"
    assert files["bin/busybox"] == (0o100755, b"box")
    assert files[f"{modules}/c.ko"][1] == b"c"
    table = files[f"{modules}/modules.dep"][1].decode().splitlines()
    assert table == ["a-1.ko: ", "b.ko: a-1.ko", "c.ko: b.ko a-1.ko"]
    init = files["init"][1].decode()
    assert "modprobe -a c\n" in init
    assert "mount -t 9p -o ro root /root" in init
    assert "$(python)" not in init
    assert files["python"][1] == b"/a b/$(python)\n"


@pytest.mark.skipif(shutil.which("cpio") is None, reason="no cpio")
def test_archive_is_what_cpio_reads(kernel: Kernel, tmp_path: Path) -> None:
    archive = initramfs.Archive()
    archive.directory("dir")
    archive.file("dir/odd", b"12345", 0o755)
    archive.link("link", "dir/odd")
    listing = subprocess.run(
        ["cpio", "-t"], input=archive.finish(), capture_output=True, check=True
    )
    assert listing.stdout.decode().split() == ["dir", "dir/odd", "link"]


@pytest.mark.skipif(shutil.which("lz4") is None, reason="no lz4")
def test_unlz4_agrees_with_lz4() -> None:
    data = b"".join(struct.pack("<I", n * n % 977) * (n % 50) for n in range(20_000)) + bytes(
        300_000
    )
    packed = subprocess.run(["lz4", "-lzc"], input=data, capture_output=True, check=True).stdout
    assert vmlinux.unlz4(packed) == data


@pytest.mark.parametrize("image", [b"", b"MZ" + bytes(2000), bytes(0x202) + b"HdrS" + bytes(2000)])
def test_what_is_no_bzimage_is_left_alone(image: bytes) -> None:
    padded = image.ljust(0x300, b"\0")
    assert vmlinux.extract(padded) is None


def test_unusable_image_is_booted_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TESTBED_CACHE_DIR", str(tmp_path / "cache"))
    image = tmp_path / "vmlinuz"
    image.write_bytes(bytes(5000))
    assert vmlinux.bootable(image) == image
    assert not list((tmp_path / "cache").iterdir())


def test_cache_that_cannot_be_written_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TESTBED_CACHE_DIR", "/dev/null/cache")
    image = tmp_path / "vmlinuz"
    image.write_bytes(bytes(5000))
    assert vmlinux.bootable(image) == image
