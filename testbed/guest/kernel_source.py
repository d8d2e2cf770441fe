"""The source of a kernel to build: the distribution's package, a tarball or a directory.

The package is Debian's newest `linux-source-*`. It is fetched by apt with a
configuration and lists of its own, so that the host's sources stay as they
are; apt checks the signatures against Debian's archive keyring.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.errors import HostError, UsageError
from testbed.guest.uml_kernels import OLDEST, numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Progress = Callable[[str, float | None], None]

MIRROR = "http://deb.debian.org/debian"  # signed lists and packages; also what proxies cache
SUITES = ("unstable", "testing", "stable-backports")
KEYRINGS = (
    "/usr/share/keyrings/debian-archive-keyring.pgp",
    "/usr/share/keyrings/debian-archive-keyring.gpg",
)
# Half of the source is drivers that no user-mode kernel can have; Kconfig files are needed.
LEFT_OUT = (
    *(f"*/drivers/{name}/*.[ch]" for name in ("gpu", "media", "infiniband", "iio", "staging")),
    *(f"*/drivers/net/{name}/*.[ch]" for name in ("ethernet", "wireless")),
    *("*/sound/*.[ch]", "*/tools/testing", "*/Documentation/*.rst", "*.dts", "*.dtsi"),
)


def distribution_package(directory: Path, progress: Progress) -> Path:
    """Fetch the newest source package into `directory`; returns the .deb file.

    One that is there already, complete, is not fetched again. Raises HostError.
    """
    require_apt()
    keyring = next((path for path in KEYRINGS if Path(path).exists()), None)
    if keyring is None:
        hint = "apt-get install debian-archive-keyring, or --source TARBALL"
        raise HostError("Debian's archive keyring is missing", hint=hint)
    reasons = []
    for suite in SUITES:
        options = _private_apt(directory, suite, keyring)
        progress(f"reading the list of packages of Debian {suite}", None)
        update = _run(["apt-get", *options, "-q", "update"])
        # apt-get update succeeds with old lists, and with none.
        names = _run(["apt-cache", *options, "pkgnames", "linux-source-"]).stdout.split()
        if name := newest(names):
            return _download(directory, options, name, progress)
        reasons.append(_last_line(update.stderr) or f"no linux-source package in {suite}")
    hint = "--source TARBALL takes a source from elsewhere, such as kernel.org"
    raise HostError(f"Debian's kernel source is not available: {'; '.join(reasons)}", hint=hint)


def newest(names: Sequence[str]) -> str | None:
    """Return the newest of the packages that is new enough, by the version in its name."""
    versions = {
        name: numbers(name) for name in names if re.fullmatch(r"linux-source-\d+\.\d+", name)
    }
    usable = {name: version for name, version in versions.items() if version >= OLDEST}
    return max(usable, key=lambda name: usable[name], default=None)


def require_apt() -> None:
    """Raise HostError where the distribution's source cannot be fetched."""
    missing = [name for name in ("apt-get", "dpkg-deb") if shutil.which(name) is None]
    if missing:
        hint = "use --source with a tarball from kernel.org"
        raise HostError(f"no {missing[0]} here to fetch a kernel source", hint=hint)


def _private_apt(directory: Path, suite: str, keyring: str) -> list[str]:
    state = directory / "apt"
    for part in ("lists/partial", "cache/archives/partial"):
        (state / part).mkdir(parents=True, exist_ok=True)
    sources = state / f"{suite}.list"
    sources.write_text(f"deb [signed-by={keyring}] {MIRROR} {suite} main\n")
    settings = {
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "-",
        "Dir::Etc::preferences": "-",
        "Dir::Etc::preferencesparts": "-",
        "Dir::State::lists": state / "lists",
        "Dir::Cache": state / "cache",
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
        "APT::Sandbox::User": "root" if os.geteuid() == 0 else "",
        # A host may be set up to want these; nobody searches them here.
        "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled": "false",
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
    }
    return [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]


def _download(directory: Path, options: list[str], name: str, progress: Progress) -> Path:
    shown = _run(["apt-cache", *options, "show", "--no-all-versions", name]).stdout
    fields = dict(re.findall(r"^(Version|Size): (.+)$", shown, re.MULTILINE))
    text = f"fetching {name} {fields.get('Version', '')}"
    size = int(fields.get("Size", 0))
    progress(text, 0.0)
    process = subprocess.Popen(
        ["apt-get", *options, "-q", "download", name],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "LC_ALL": "C"},
    )
    try:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                _, errors = process.communicate(timeout=0.2)
                break
            if size:
                progress(text, min(1.0, _fetched(directory, name) / size))
    finally:
        process.kill()
        process.wait()
    packages = list(directory.glob(f"{name}_*.deb"))
    if process.returncode or not packages:
        raise HostError(f"{name} cannot be fetched: {_last_line(errors)}", hint="try again later")
    return packages[0]


def _fetched(directory: Path, name: str) -> int:
    sizes = [0]
    for path in (
        *directory.glob(f"{name}_*"),
        *directory.glob(f"apt/cache/archives/partial/{name}_*"),
    ):
        with contextlib.suppress(OSError):
            sizes.append(path.stat().st_size)
    return max(sizes)


def unpack(source: Path, target: Path) -> None:
    """Unpack a source package or tarball to the directory `target`; raises UsageError."""
    target.mkdir(parents=True)
    exclude = [f"--exclude={pattern}" for pattern in LEFT_OUT]
    into = ["tar", "-x", "--strip-components=1", "-C", str(target), *exclude]
    if source.suffix == ".deb":
        listed = ["tar", "-xO", "--wildcards", "./usr/src/linux-source-*.tar.xz"]
        commands = [["dpkg-deb", "--fsys-tarfile", str(source)], listed, [*into, "-J"]]
    else:
        commands = [[*into, "-f", str(source)]]
    processes: list[subprocess.Popen[bytes]] = []
    for command in commands:
        before = processes[-1].stdout if processes else subprocess.DEVNULL
        last = len(processes) == len(commands) - 1
        processes.append(
            subprocess.Popen(
                command,
                stdin=before,
                stdout=subprocess.DEVNULL if last else subprocess.PIPE,
                stderr=subprocess.PIPE if last else subprocess.DEVNULL,
            )
        )
        if not isinstance(before, int) and before is not None:
            before.close()
    _, errors = processes[-1].communicate()
    failed = [process.wait() for process in processes][-1]
    if failed or not (target / "Makefile").exists():
        shutil.rmtree(target)
        reason = _last_line(errors.decode(errors="replace")) or "there is no Makefile in it"
        raise UsageError(f"{source} is not a kernel's source: {reason}")


def _run(argv: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "LC_ALL": "C"},
    )


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""
