"""Parsing devices' own configurations with the daemons themselves, before anything is built.

BIRD refuses a file as a whole. FRR's bgpd reports the lines that it does not know and goes
on without them; here each such line is a problem, so that none silently does nothing.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.errors import Problem, TopologyError
from testbed.kernel.packages import PACKAGES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from testbed.topology.model import Device, Topology

SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/frr"
TIMEOUT_S = 20.0
VRFS = ("sl", "lgw")  # those of every customer device (facts: R1)
ONLY_BGPD = (
    "bgpd alone reads this file: interfaces, addresses, VRFs and static routes are the topology's"
)
BIRD_ERROR = re.compile(r"bird\.conf:(?P<line>\d+):(?P<column>\d+) (?P<text>.*)$")
FRR_ERROR = re.compile(r"\] (?P<text>[^\]]*) on config line (?P<line>\d+): (?P<words>.*)$")
# Lines that are for vtysh, which is not used here, and mean nothing to a daemon.
VTYSH_LINE = re.compile(r"\s*(no )?service integrated-vtysh-config\s*$")
VRF_NAMED = {
    "bird": re.compile(r'^[^#]*?\bvrf\s+"(?P<vrf>[^"]+)"'),
    "frr": re.compile(r"^\s*(router bgp .*\bvrf|import vrf(?! route-map)) (?P<vrf>\S+)"),
}
Found = tuple[int, int, str, str | None]  # line, column, message, hint


def parse(
    topology: Topology, directory: Path = Path(), *, parsed: Collection[str] = ()
) -> list[str]:
    """Parse every device's own configuration; notes about those that cannot be parsed here.

    The files are in `directory`; texts among `parsed` are right. Raises TopologyError with
    all problems, each with its file and line.
    """
    problems: list[Problem] = []
    notes: list[str] = []
    for device in topology.site.devices:
        if device.config is None or device.config in parsed:
            continue
        program = "bird" if device.daemon == "bird" else "bgpd"
        file = str(directory / (device.config_file or device.name))
        path = shutil.which(program, path=SEARCH_PATH)
        if path is None:
            notes.append(
                f"{file} was not parsed: {program} is not installed here"
                f" (package {PACKAGES[program]})"
            )
            continue
        found = [*_parsed(device, path, device.config), *_vrfs(device, device.config)]
        problems += [
            Problem(file, line, column, f"site.devices.{device.name}.config", text, hint)
            for line, column, text, hint in sorted(found, key=lambda entry: entry[:2])
        ]
    if problems:
        raise TopologyError(problems)
    return notes


def _parsed(device: Device, program: str, text: str) -> Iterator[Found]:
    """What the daemon says of the text."""
    with tempfile.TemporaryDirectory(prefix="testbed-") as folder:
        path = Path(folder, "bird.conf" if device.daemon == "bird" else "bgpd.conf")
        path.write_text(text)
        if device.daemon == "bird":
            argv = [program, "-p", "-c", str(path)]
        else:  # -S: without giving up root, which others have not; -p 0: listens nowhere
            own = ["--vty_socket", folder, "-i", f"{folder}/pid", "-z", f"{folder}/zserv.api"]
            argv = [program, "-C", "-S", "-p", "0", "-P", "0", *own, "-f", str(path)]
        try:
            done = subprocess.run(
                argv,
                capture_output=True,
                stdin=subprocess.DEVNULL,
                timeout=TIMEOUT_S,
                check=False,
                cwd=folder,
            )
        except subprocess.TimeoutExpired:
            yield 1, 1, f"{Path(program).name} did not parse it within {TIMEOUT_S:g} s", None
            return
    output = (done.stdout + done.stderr).decode(errors="replace")
    found = list(_of_bird(output) if device.daemon == "bird" else _of_frr(output))
    yield from found
    if done.returncode and not found:
        last = output.strip().rpartition("\n")[2]
        yield 1, 1, f"{Path(program).name} does not accept it: {last}", None


def _of_bird(output: str) -> Iterator[Found]:
    for line in output.splitlines():
        if match := BIRD_ERROR.search(line):
            yield int(match["line"]), int(match["column"]), f"BIRD: {match['text']}", None


def _of_frr(output: str) -> Iterator[Found]:
    """Each line that bgpd has left out; what it says before a line is why."""
    why = ""
    for line in output.splitlines():
        if line.startswith("% "):
            why = line.removeprefix("% ")
        if not (match := FRR_ERROR.search(line)) or VTYSH_LINE.match(match["words"]):
            continue
        unknown = match["text"].startswith("No such command")
        reason = "unknown command" if unknown else why or match["text"]
        message = f"bgpd: {reason}: {match['words'].strip()[:80]}"
        yield int(match["line"]), 1, message, ONLY_BGPD if unknown else None
        why = ""


def _vrfs(device: Device, text: str) -> Iterator[Found]:
    """VRFs that the device has not: what is in one of these never comes into force."""
    for number, line in enumerate(text.splitlines(), 1):
        match = VRF_NAMED[device.daemon].match(line)
        if match and match["vrf"] not in VRFS:
            message = f"{device.name} has no VRF {match['vrf']}, so this line would do nothing"
            yield number, match.start("vrf") + 1, message, f"its VRFs are {' and '.join(VRFS)}"
