"""Parsing devices' own configurations with the daemons themselves, before anything is built.

BIRD refuses a file as a whole. FRR's daemons report the lines that they do not know and go on
without them; here each such line is a problem, as is one about an interface or a VRF that the
device does not have, so that none silently does nothing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.errors import Problem, TopologyError
from testbed.kernel import isolation, pretence, rights
from testbed.kernel.packages import PACKAGES
from testbed.lifecycle import device_names, device_reports
from testbed.lifecycle.device_reports import Found
from testbed.lower.site.frr_parts import BGPD, Parts, parts
from testbed.lower.site.own_configuration import in_the_testbeds_words

if TYPE_CHECKING:
    from testbed.plan.model import Plan
    from testbed.topology.model import Topology

SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/frr"
TIMEOUT_S = 20.0


def parse(
    topology: Topology,
    directory: Path = Path(),
    *,
    parsed: Collection[str] = (),
    plan: Callable[[], Plan],
) -> list[str]:
    """Parse every device's own configuration; notes about what cannot be parsed here.

    The files are in `directory`; texts among `parsed` have been parsed.
    `plan` makes the topology's plan, which tells what the interfaces are called. Raises
    TopologyError with all problems, each with its file and line.
    """
    problems: list[Problem] = []
    notes: list[str] = []
    for device in topology.site.devices:
        if device.config is None:
            continue
        file = str(directory / (device.config_file or device.name))
        text = in_the_testbeds_words(device.config, device.config_interfaces)
        found: list[Found] = []
        if device.config not in parsed:
            told = (_bird if device.daemon == "bird" else _frr)(text, found)
            notes += [f"{file}{note}" for note in told]
        if not found:
            found += device_names.unknown(device, text, plan().node(device.name))
        problems += [
            Problem(file, line, column, f"site.devices.{device.name}.config", message, hint)
            for line, column, message, hint in sorted(found, key=lambda entry: entry[:2])
        ]
    if problems:
        raise TopologyError(problems)
    return notes


def _absent(program: str) -> str:
    package = PACKAGES[program]
    return f" was not parsed: {program} is not installed here (package {package})"


def _bird(text: str, found: list[Found]) -> Iterator[str]:
    """What BIRD says of a text; yields what could not be tried."""
    path = shutil.which("bird", path=SEARCH_PATH)
    if path is None:
        yield _absent("bird")
        return
    with tempfile.TemporaryDirectory(prefix="testbed-") as folder:
        file = Path(folder, "bird.conf")
        file.write_text(text)
        found += _said([path, "-p", "-c", str(file)], folder, device_reports.of_bird)


def _frr(text: str, found: list[Found]) -> Iterator[str]:
    """What vtysh, which knows all commands, and each daemon say of their part of a text."""
    if (vtysh := shutil.which("vtysh", path=SEARCH_PATH)) is None:
        yield _absent("vtysh")
        return
    taken = parts(text)
    found += [
        (number + 1, 1, f"this line is for FRR's {daemon}, which no device runs", None)
        for number, daemon in taken.foreign
    ]
    with tempfile.TemporaryDirectory(prefix="testbed-") as name:
        folder = Path(name)
        (folder / "frr.conf").write_text(text)
        argv = [vtysh, "-C", "-f", str(folder / "frr.conf"), "--vty_socket", name]
        found += _said(argv, name, device_reports.of_vtysh)
        if found:
            return
        folder.chmod(0o755)  # all but bgpd give up root before they read it
        for daemon in taken.daemons:
            yield from _daemon(taken, daemon, folder, found)
    if taken.terminal:
        lines = ", ".join(str(number + 1) for number in taken.terminal)
        yield f": without effect, because a node has no terminal of FRR's: line {lines}"


def _daemon(taken: Parts, daemon: str, folder: Path, found: list[Found]) -> Iterator[str]:
    path = shutil.which(daemon, path=SEARCH_PATH)
    if path is None:
        yield _absent(daemon)
        return
    file = folder / f"{daemon}.conf"
    file.write_text(taken.of(daemon))
    file.chmod(0o644)
    own = ["--vty_socket", str(folder), "-i", f"{folder}/pid", "-z", f"{folder}/zserv.api"]
    argv = [path, "-C", "-P", "0", *own, "-f", str(file)]
    if daemon == BGPD:  # -S: without giving up root, which others have not; -p 0: listens nowhere
        found += _said([*argv, "-S", "-p", "0"], str(folder), device_reports.of_frr(daemon))
        return
    try:
        found += _said(argv, str(folder), device_reports.of_frr(daemon), before=_apart)
    except subprocess.SubprocessError:
        yield f": its lines for {daemon} were not tried: this user can have no namespace"


def _apart() -> None:
    """Leave the host's network, whose interfaces zebra would configure, even when it only parses.

    An ordinary user becomes root of a namespace, and the daemons are told that they are another.
    """
    user, group = os.geteuid(), os.getegid()
    isolation.unshare(isolation.CLONE_NEWNET | (isolation.CLONE_NEWUSER if user else 0))
    if user:
        rights.map_user(user, group, as_root=True)
    if not rights.maps_everybody():
        pretence.begin()


def _said(
    argv: list[str],
    folder: str,
    read: Callable[[str], Iterator[Found]],
    *,
    before: Callable[[], None] | None = None,
) -> list[Found]:
    """Run a daemon that only parses; what it finds wrong, as `read` finds it in its words."""
    name = Path(argv[0]).name
    try:
        done = subprocess.run(
            argv,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=TIMEOUT_S,
            check=False,
            cwd=folder,
            preexec_fn=before,
        )
    except subprocess.TimeoutExpired:
        return [(1, 1, f"{name} did not parse it within {TIMEOUT_S:g} s", None)]
    output = (done.stdout + done.stderr).decode(errors="replace")
    found = list(read(output))
    if done.returncode and not found:
        last = output.strip().rpartition("\n")[2]
        found.append((1, 1, f"{name} does not accept it: {last}", None))
    return found
