"""Workloads: when they are started again, and what crun is told of them."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from testbed.keeper import workloads
from testbed.keeper.running import Running
from testbed.keeper.workloads import FIRST_DELAY_S, LONGEST_DELAY_S, Restarts
from testbed.plan.container import Container, Limits, Mount
from testbed.plan.model import Process
from testbed.programs.container import images
from testbed.programs.container.bundle import UserError, configuration, identity


def ended(policy: Any, *codes: int, lasted_s: float = 0.0) -> list[float | None]:
    """After how long a process is started again that ends with these codes."""

    async def run() -> list[float | None]:
        restarts = Restarts(lambda *_: None)
        process = Process("app", ("x",), restart=policy)
        return [restarts.ended("web", process, code, lasted_s) for code in codes]

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("policy", "well", "badly"),
    [
        ("required", None, None),
        ("never", None, None),
        ("on-failure", None, FIRST_DELAY_S),
        ("always", FIRST_DELAY_S, FIRST_DELAY_S),
    ],
)
def test_the_policy_says_what_is_started_again(
    policy: str, well: float | None, badly: float | None
) -> None:
    assert ended(policy, 0) == [well]
    assert ended(policy, 1) == [badly]
    assert ended(policy, -9) == [badly]


def test_the_delay_doubles_up_to_a_minute() -> None:
    delays = ended("always", *[1] * 12)
    assert delays[:4] == [0.1, 0.2, 0.4, 0.8]
    assert delays[-1] == LONGEST_DELAY_S


def test_what_has_run_for_a_while_is_started_soon() -> None:
    assert ended("always", 1, 1, 1, lasted_s=60) == [FIRST_DELAY_S] * 3


def test_a_process_that_is_forgotten_is_not_started() -> None:
    started: list[str] = []

    async def run() -> None:
        over = asyncio.Event()

        def start(node: str, process: Process) -> None:
            started.append(f"{node}.{process.name}")
            over.set()

        restarts = Restarts(start)
        for name in ("one", "two"):  # timers of the same length end in this order
            restarts.ended("web", Process(name, ("x",), restart="always"), 1, 0.0)
        restarts.forget("web", "one")
        await over.wait()

    asyncio.run(run())
    assert started == ["web.two"]


@pytest.mark.parametrize(
    ("policy", "status", "again_s", "well"),
    [
        ("required", None, None, True),
        ("required", 0, None, False),
        ("never", 0, None, True),
        ("never", 256, None, False),
        ("always", 0, 0.1, False),
    ],
)
def test_a_workload_may_end_well(
    policy: Any, status: int | None, again_s: float | None, well: bool
) -> None:
    process = Process("app", ("x",), restart=policy)
    running = Running(1, "app", "web", status=status, process=process, again_s=again_s)
    assert running.is_well is well
    if again_s:
        assert "starts again after 0.1 s" in running.describe()


# What crun is told


def spec(container: Container, **image: Any) -> Any:
    process = Process("app", ("serve",), env={"B": "2"}, container=container)
    (_, text) = workloads.words("web", process)
    return configuration(
        json.loads(text),
        Path("/root"),
        image,
        allowed=(1 << 41) - 1,
        file_systems="nodev\tmqueue\n",
        grouped=container.limits.grouped,
    )


def test_a_plain_process_shares_the_network() -> None:
    made = spec(Container("busybox"), env=["A=1", "B=0"], cwd="/srv")
    assert {entry["type"] for entry in made["linux"]["namespaces"]} == {
        "pid", "ipc", "uts", "mount",
    }  # fmt: skip
    assert made["process"]["args"] == ["serve"]
    assert made["process"]["cwd"] == "/srv"
    assert {"A=1", "B=2", "HOSTNAME=web"} <= set(made["process"]["env"])
    assert made["process"]["user"] == {"uid": 0, "gid": 0}
    assert "CAP_NET_RAW" in made["process"]["capabilities"]["effective"]
    assert "CAP_NET_ADMIN" not in made["process"]["capabilities"]["bounding"]
    assert "resources" not in made["linux"]


def test_what_it_may_not_have_it_may_not_be_given() -> None:
    made = spec(Container(network="none", user="7:8", capabilities=("CAP_NET_ADMIN",)))
    assert {"type": "network"} in made["linux"]["namespaces"]
    assert made["process"]["user"] == {"uid": 7, "gid": 8}
    assert made["process"]["capabilities"]["effective"] == []
    assert "CAP_NET_ADMIN" in made["process"]["capabilities"]["bounding"]


def test_limits_and_mounts() -> None:
    limits = Limits(memory_mib=64, processors=0.5, processes=9, open_files=99)
    mounts = (Mount("/data", "/srv/data", read_only=True), Mount("/scratch"))
    made = spec(Container("/image", limits=limits, mounts=mounts, read_only=True))
    resources = made["linux"]["resources"]
    assert resources["memory"] == {"limit": 64 << 20}
    assert resources["pids"] == {"limit": 9}
    assert resources["cpu"] == {"quota": 50_000, "period": 100_000}
    assert made["process"]["rlimits"] == [{"type": "RLIMIT_NOFILE", "soft": 99, "hard": 99}]
    assert made["root"]["readonly"] is True
    data, scratch = made["mounts"][-2:]
    assert (data["source"], data["destination"]) == ("/srv/data", "/data")
    assert "ro" in data["options"]
    assert (scratch["type"], scratch["destination"]) == ("tmpfs", "/scratch")


def test_users_are_those_of_the_image(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("root:x:0:0::/:\napp:x:70:71::/:/bin/sh\n")
    (tmp_path / "etc/group").write_text("root:x:0:\nstaff:x:50:\n")
    assert identity("app", tmp_path) == {"uid": 70, "gid": 71}
    assert identity("70:staff", tmp_path) == {"uid": 70, "gid": 50}
    assert identity("9", tmp_path) == {"uid": 9, "gid": 0}
    for unknown in ("nobody", "app:nobody"):
        with pytest.raises(UserError, match="nobody"):
            identity(unknown, tmp_path)


def test_the_container_crosses_as_it_is() -> None:
    container = Container("oci:/x:y", user="a", mounts=(Mount("/t"),), read_only=True)
    (program, text) = workloads.words("web", Process("app", (), container=container))
    assert program == workloads.PROGRAM
    assert json.loads(text)["container"] == json.loads(json.dumps(asdict(container)))


def test_a_directory_is_an_image_as_it_is(tmp_path: Path) -> None:
    assert images.bundle(str(tmp_path)).root == tmp_path
    (tmp_path / "config.json").write_text('{"process": {"args": ["run"]}}')
    bundle = images.bundle(str(tmp_path))
    assert (bundle.root, bundle.process) == (tmp_path / "rootfs", {"args": ["run"]})
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(images.ImageError, match="no OCI runtime configuration"):
        images.bundle(str(tmp_path))
    with pytest.raises(images.ImageError, match="there is no directory"):
        images.bundle(str(tmp_path / "gone"))
