"""Processes of instances: root file systems, users, networks, limits and policies of restart."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from testbed.guest import uml_kernels
from testbed.testing import Testbed
from testbed.topology import editing as edit

TOPOLOGY = Path(__file__).with_name("processes.yaml.j2")
PROGRAMS = ("crun", "umoci", "skopeo", "busybox")
MISSING = [program for program in PROGRAMS if shutil.which(program) is None]
pytestmark = [
    pytest.mark.packets,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
    pytest.mark.skipif(
        uml_kernels.find(["control-groups"], virtual_time=True) is None,
        reason="no kernel here has control groups",
    ),
]


def make_images(place: Path) -> None:
    """Make what the topology's images are: an OCI layout and an archive, and files to serve."""
    (place / "www").mkdir()
    (place / "www/index.html").write_text("from an image")
    for name in ("bin", "etc", "app"):
        (place / "root" / name).mkdir(parents=True)
    shutil.copy(str(shutil.which("busybox")), place / "root/bin/busybox")
    for applet in ("sh", "cat", "id", "pwd", "echo"):
        (place / "root/bin" / applet).symlink_to("busybox")
    (place / "root/etc/greeting").write_text("good day\n")
    (place / "root/etc/passwd").write_text("root:x:0:0::/:/bin/sh\nrunner:x:1000:1000::/:/bin/sh\n")
    image = f"{place}/layout:web"
    archive = f"docker-archive:{place}/archive.tar:web:1"
    says = ["--config.cmd=sh", "--config.cmd=-c", "--config.cmd=id -u; pwd; echo $COLOR $SIZE"]
    has = ["--config.user=runner", "--config.workingdir=/app", "--config.env=SIZE=large"]
    for argv in (
        ["umoci", "init", "--layout", f"{place}/layout"],
        ["umoci", "new", "--image", image],
        ["umoci", "insert", "--image", image, f"{place}/root", "/"],
        ["umoci", "config", "--image", image, *has, *says],
        ["skopeo", "--insecure-policy", "copy", "-q", f"oci:{image}", archive],
    ):
        subprocess.run(argv, check=True, capture_output=True)


@pytest.fixture(scope="module")
def running(
    testbed_factory: Callable[..., Testbed], tmp_path_factory: pytest.TempPathFactory
) -> Testbed:
    place = tmp_path_factory.mktemp("images")
    make_images(place)
    return testbed_factory(TOPOLOGY, testbed_time="virtual", testbed_seed=1, images=str(place))


def log_of(testbed: Testbed, node: str, process: str) -> list[str]:
    """The lines that a process has written."""
    return b"".join(testbed.client.logs(node, process)).decode().splitlines()


def state_of(testbed: Testbed, node: str, process: str) -> dict[str, Any]:
    """What the status says of a process."""
    rows = {row["name"]: row["processes"] for row in testbed.status()["nodes"]}
    found: dict[str, Any] = next(row for row in rows[node] if row["name"] == process)
    return found


def written(testbed: Testbed, node: str, process: str, lines: int = 1) -> list[str]:
    """What a process has written once that is so many lines."""
    testbed.eventually(lambda: len(log_of(testbed, node, process)) >= lines, timeout=60)
    return log_of(testbed, node, process)


def test_a_process_serves_the_network_of_its_instance(running: Testbed) -> None:
    assert running["client"].http("http://10.1.3.5/").body == b"from an image"
    assert any("10.1.3.4" in line for line in log_of(running, "web", "httpd"))
    assert state_of(running, "web", "httpd")["state"] == "running"


def test_an_image_says_what_runs_in_it(running: Testbed) -> None:
    """User, directory, environment and command are the image's, and more as the topology says."""
    assert written(running, "web", "layout", 3) == ["1000", "/app", "blue large"]
    assert written(running, "web", "archive") == ["good day"]
    assert state_of(running, "web", "archive")["ok"]


def test_a_process_has_namespaces_of_its_own(running: Testbed) -> None:
    [loopback] = written(running, "web", "apart")
    assert loopback.startswith("1: lo: <LOOPBACK,UP")
    assert written(running, "web", "machine", 3) == ["0", "web", "sh"]  # its own process 1


def test_a_read_only_root_and_a_user_without_rights(running: Testbed) -> None:
    lines = written(running, "web", "reader", 20)
    assert "Read-only file system" in lines[0]
    assert lines[1] == "uid=65534(nobody) gid=65534(nogroup)"
    [effective] = [line.split()[1] for line in lines if line.startswith("CapEff:")]
    assert int(effective, 16) == 0


def test_limits_are_in_force(running: Testbed) -> None:
    assert written(running, "limited", "greedy", 2)[-1] == "ended with 137"
    assert "can't fork" in written(running, "limited", "many")[0]
    assert "never" not in log_of(running, "limited", "many")
    assert written(running, "limited", "files", 2) == ["99", "25000 100000"]


def test_what_fails_is_started_again_later_and_later(running: Testbed) -> None:
    running.advance(30)
    starts = [int(line) for line in log_of(running, "limited", "fails")]
    gaps = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert gaps == sorted(gaps)
    assert gaps[-1] >= 10
    assert "starts again after" in state_of(running, "limited", "fails")["state"]
    assert log_of(running, "limited", "once") == ["done"]
    assert state_of(running, "limited", "once")["state"] == "exited with status 0"


def test_what_is_killed_is_started_again(running: Testbed) -> None:
    before = state_of(running, "web", "httpd")["pid"]
    running["web"].run(["pkill", "-KILL", "-x", "httpd"])
    running.eventually(lambda: state_of(running, "web", "httpd")["pid"] != before, timeout=60)
    client = running["client"]
    running.eventually(
        lambda: "from an image" in client.run(["curl", "-s", "http://10.1.3.5/"], check=False).text,
        timeout=60,
    )


def test_a_process_comes_and_goes_while_the_testbed_runs(running: Testbed) -> None:
    """Nothing of it is left: no process, no control group, no state of crun's."""
    waits = {"image": "busybox", "command": ["sleep", "100000"], "max_processes": 5}
    running.edit(edit.add_process(instance="client", process="waits", **waits))
    groups = ["sh", "-c", "ls -d /sys/fs/cgroup/testbed/client.waits /run/crun/client.waits"]
    assert state_of(running, "client", "waits")["state"] == "running"
    running.edit(edit.remove_process(instance="client", process="waits"))
    assert running["client"].run(["pgrep", "-f", "sleep 100000"], check=False).returncode == 1
    assert running["client"].run(groups, check=False).text == ""


def test_an_image_that_is_not_there_is_told(running: Testbed) -> None:
    gone = edit.add_process(instance="client", process="gone", image="oci:/nowhere:1")
    running.edit(gone)
    assert "no OCI image layout at /nowhere" in written(running, "client", "gone")[0]
    running.eventually(
        lambda: state_of(running, "client", "gone")["state"] == "exited with status 125"
    )
    running.edit(edit.remove_process(instance="client", process="gone"))
