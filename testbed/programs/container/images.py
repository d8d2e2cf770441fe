"""Images of processes: from wherever they are to a directory with a root file system.

What has been unpacked is kept for as long as the testbed runs, and shared by all its
processes: each has an overlay over it. Names are those of skopeo (containers-transports(5)).
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

STORE = Path("/run/images")
BUSYBOX = "busybox"
DONE = "config.json"  # written last, by umoci, too
REFERENCE = "image"
REGISTRY = "docker://"
Pull = Literal["missing", "always", "refresh"]


@dataclass(frozen=True)
class Bundle:
    """A root file system, and what its image says of the process in it."""

    root: Path
    process: dict[str, Any]


class ImageError(Exception):
    """An image that cannot be had, with the reason."""


def bundle(image: str, store: str = "", pull: Pull = "missing") -> Bundle:
    """Return the unpacked image; an empty one is the machine's own files. Raises ImageError.

    An image of a registry is kept in the directory `store`, by default with all others.
    `pull` says when it is fetched: where it is ``missing`` there, ``always``, or to ``refresh``
    it, in which case one that is there does where it can't be fetched.
    """
    if not image:
        return Bundle(Path("/"), {})
    if image.startswith("/"):
        return _directory(Path(image))
    remote = image.startswith(REGISTRY)
    directory = Path(store) if store and remote else STORE
    place = directory / hashlib.sha256(image.encode()).hexdigest()[:16]
    with _locked(place):
        there = (place / DONE).exists()
        if not there or (remote and pull != "missing"):
            try:
                _fetch(place, image)
            except ImageError:
                if not there or pull != "refresh":
                    raise
    return _directory(place)


def _fetch(place: Path, image: str) -> None:
    """Unpack an image anew; who uses the former one goes on with it."""
    fresh = place.with_suffix(".new")
    shutil.rmtree(fresh, ignore_errors=True)
    (_busybox if image == BUSYBOX else _unpacked)(fresh, image)
    if place.exists():
        place.rename(place.with_suffix(f".{time.time_ns()}"))
    fresh.rename(place)


def _directory(place: Path) -> Bundle:
    """A bundle's or a root file system's own directory."""
    if not place.is_dir():
        raise ImageError(f"there is no directory {place}")
    if not (place / DONE).is_file():
        return Bundle(place, {})
    try:
        process = json.loads((place / DONE).read_bytes()).get("process") or {}
    except (OSError, ValueError, AttributeError) as error:
        raise ImageError(f"{place / DONE} is no OCI runtime configuration: {error}") from error
    return Bundle(place / "rootfs", process)


@contextlib.contextmanager
def _locked(place: Path) -> Iterator[None]:
    """Be the only one that unpacks an image."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_suffix(".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _busybox(place: Path, _: str) -> None:
    """Make a root file system of the machine's static busybox, with a name for each applet."""
    found = shutil.which("busybox")
    if found is None:
        raise ImageError("there is no busybox: install the package busybox-static")
    for name in ("bin", "dev", "etc", "home", "proc", "root", "run", "sys", "tmp", "usr", "var"):
        (place / "rootfs" / name).mkdir(parents=True)
    (place / "rootfs/tmp").chmod(0o1777)
    shutil.copy(found, place / "rootfs/bin/busybox")
    for applet in _output([found, "--list"]).split():
        if applet != "busybox":
            (place / "rootfs/bin" / applet).symlink_to("busybox")
    (place / "rootfs/etc/passwd").write_text(
        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
    )
    (place / "rootfs/etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")
    process = {"args": ["sh"], "cwd": "/", "env": ["PATH=/bin"]}
    (place / DONE).write_text(json.dumps({"process": process}))


def _unpacked(place: Path, image: str) -> None:
    """Have umoci unpack an image, which skopeo has brought where it is no OCI layout."""
    transport, _, where = image.partition(":")
    if transport == "oci":
        layout = where if ":" in where.rpartition("/")[2] else f"{where}:latest"
        if not Path(layout.rpartition(":")[0], "oci-layout").is_file():
            raise ImageError(f"there is no OCI image layout at {layout.rpartition(':')[0]}")
        _run(["umoci", "unpack", "--image", layout, str(place)])
        return
    copy = place.with_suffix(".layout")
    target = f"oci:{copy}:{REFERENCE}"
    shutil.rmtree(copy, ignore_errors=True)
    # A registry inside the testbed has no certificate that this machine knows.
    words = ["--src-tls-verify=false"] if image.startswith(REGISTRY) else []
    try:
        _run(["skopeo", "--insecure-policy", "copy", "--quiet", *words, image, target])
        _run(["umoci", "unpack", "--image", f"{copy}:{REFERENCE}", str(place)])
    finally:
        shutil.rmtree(copy, ignore_errors=True)


def _run(argv: list[str]) -> None:
    """Run a program; raises ImageError with what it says last."""
    environment = {**os.environ, "TMPDIR": "/run"}
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            check=False, text=True, errors="replace", env=environment,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise ImageError(f"{argv[0]} is not installed here") from error
    if done.returncode:
        said = done.stdout.strip().rpartition("\n")[2]
        raise ImageError(f"{argv[0]}: {said or f'exit status {done.returncode}'}")
    sys.stdout.write(done.stdout)


def _output(argv: list[str]) -> str:
    return subprocess.run(argv, capture_output=True, check=True, text=True).stdout
