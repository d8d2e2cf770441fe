"""`testbed check` as it is used: by people, by CI, and by plain pytest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from testbed.control.registry import alive
from testbed.testing import Testbed, eventually

ROOT = Path(__file__).parents[2]
FIRST = ROOT / "topologies" / "first.yaml"
SUITE = "lag"
CARRIER = "lag.carrier"
OFF, ON = ["ip", "link", "set", "op_1", "down"], ["ip", "link", "set", "op_1", "up"]

pytestmark = [pytest.mark.packets, pytest.mark.topology(FIRST)]


def run(*argv: str, vm: str = "auto", **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *argv],
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
        env={**os.environ, "TESTBED_VM": vm, "COLUMNS": "100", **env},
    )


def check(*argv: str, vm: str = "auto") -> subprocess.CompletedProcess[str]:
    return run("testbed", "check", *argv, vm=vm)


@pytest.fixture
def one_port_down(testbed: Testbed) -> Iterator[None]:
    testbed["cnd1"].run(OFF)
    yield
    testbed["cnd1"].run(ON)
    testbed.eventually(lambda: testbed.status()["ok"], 60)


def test_a_good_site_passes(testbed: Testbed) -> None:
    done = check("-n", testbed.name, SUITE, "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # no progress with JSON
    report = json.loads(done.stdout)
    assert report["ok"]
    assert report["counts"]["passed"] == len(report["results"])
    assert {r["about"] for r in report["results"]} == {
        "op.lag1 (op.ond1 - cnd1)",
        "op.lag2 (op.ond2 - cnd2)",
    }
    assert report["environment"]["kernel"] == f"Linux {testbed.client.hello()['kernel']}"


def test_a_failure_is_named_with_its_remedy_last(
    testbed: Testbed, one_port_down: None, tmp_path: Path
) -> None:
    html, junit = tmp_path / "site.html", tmp_path / "site.xml"
    done = check("-n", testbed.name, SUITE, "--html", str(html), "--junit", str(junit))
    assert done.returncode == 1, done.stderr
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    assert lines[-3] == f"cause cnd1 op_1: expected up; seen: administratively down ({CARRIER})"
    assert lines[-2].startswith("remedy check the interface's administrative state")
    assert f"failed {CARRIER}  cnd1 op_1" in done.stderr
    # The other LAG is checked all the same.
    assert "passed lag.members  op.lag2" in done.stderr
    assert f"{CARRIER} failed for cnd1 op_1" in done.stderr
    page = html.read_text()
    assert "Cause: cnd1 op_1" in page
    failures = ET.parse(junit).getroot().findall(".//failure")
    assert [failure.get("message") for failure in failures] == [
        "cnd1 op_1: expected up; seen: administratively down"
    ]


def test_it_can_stop_at_the_first_failure(testbed: Testbed, one_port_down: None) -> None:
    done = check("-n", testbed.name, SUITE, "-x", "--json")
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert [result["outcome"] for result in report["results"]] == ["failed"]
    assert report["diagnosis"]["subject"] == "cnd1 op_1"


def test_subjects_limit_it(testbed: Testbed, one_port_down: None) -> None:
    """A check of the other device does not see what is wrong with the first."""
    assert check("-n", testbed.name, SUITE, "--subject", "cnd2").returncode == 0
    assert check("-n", testbed.name, SUITE, "--subject", "cnd1").returncode == 1


def test_nothing_to_check_is_no_success(testbed: Testbed) -> None:
    done = check("-n", testbed.name, "coip", "--json")  # the site has no such pool
    assert done.returncode == 3, done.stdout
    report = json.loads(done.stdout)
    assert report["problem"].startswith("nothing to check: ")
    assert not report["ok"]
    assert check("-n", testbed.name, SUITE, "--subject", "nobody").returncode == 3


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["-n", "check-nobody"], "check-nobody"),
        (["lag.carier"], "lag.carrier"),
        (["--topology", "no-such.yaml"], "no-such.yaml"),
        (["--html", "/no/such/folder/x.html"], "no such folder"),
        (["--junit", "/no/such/folder/x.xml"], "no such folder"),
    ],
)
def test_wrong_use_is_told_before_anything_runs(argv: list[str], said: str) -> None:
    done = check(*argv)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_checks_are_listed() -> None:
    done = check("--list", "lag", "--json")
    assert done.returncode == 0
    assert {entry["name"] for entry in json.loads(done.stdout)} >= {CARRIER, "lag.members"}
    assert CARRIER in check("--list").stdout


def test_a_file_is_brought_up_checked_and_taken_down(pytestconfig: pytest.Config) -> None:
    name, vm = f"check-{os.getpid()}", pytestconfig.getoption("testbed_vm")
    done = check("--topology", str(FIRST), "-n", name, CARRIER, "--json", vm=vm)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["testbed"] == name
    assert not alive(name)


def test_a_check_that_is_killed_leaves_nothing(pytestconfig: pytest.Config) -> None:
    name, vm = f"killed-{os.getpid()}", pytestconfig.getoption("testbed_vm")
    command = [sys.executable, "-m", "testbed", "check", "--topology", str(FIRST), "-n", name]
    command += ["--vm", vm, SUITE, "vlan"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        next(line for line in process.stderr if "passed" in line)  # a check has been run
        assert alive(name)
        process.kill()
    eventually(lambda: not alive(name), timeout=60)


def test_plain_pytest_runs_the_suites(pytestconfig: pytest.Config, tmp_path: Path) -> None:
    vm = pytestconfig.getoption("testbed_vm")
    junit = tmp_path / "site.xml"
    options = ["--topology", str(FIRST), "-k", "test_lag and carrier", f"--junit-xml={junit}"]
    plain = ["-p", "no:cacheprovider", f"--rootdir={tmp_path}"]
    done = run("pytest", "--pyargs", "testbed.conformance", *options, *plain, vm=vm)
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout
    values = {(entry.get("name"), entry.get("value")) for entry in ET.parse(junit).iter("property")}
    assert {("check", CARRIER), ("outcome", "passed")} <= values


def test_plain_pytest_fails_with_the_object(testbed: Testbed, one_port_down: None) -> None:
    options = ["--testbed", testbed.name, "-k", "test_lag and carrier", "-p", "no:cacheprovider"]
    done = run("pytest", "--pyargs", "testbed.conformance", *options)
    assert done.returncode == 1
    assert "cnd1 op_1: expected up; seen: administratively down" in done.stdout
    assert "1 failed, 1 passed" in done.stdout
