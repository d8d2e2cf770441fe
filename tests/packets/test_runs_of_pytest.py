"""Whole runs of pytest with the plugin, each a process of its own: captures, bundles, the end."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP

from testbed.control import registry
from testbed.probes.capture import read_packets
from testbed.testing import eventually

pytestmark = pytest.mark.packets

ROOT = Path(__file__).parents[2]
TOPOLOGY = ROOT / "topologies" / "rack.yaml"
FAILING = """
def test_passes(testbed):
    assert testbed["desk"].ping("web", count=1).ok

def test_fails(testbed):
    assert testbed["desk"].ping("web", count=2).ok
    assert testbed["web"].ping("192.0.2.1", count=1).ok, "no such host"
"""
WAITING = """
import time
def test_waits(testbed):
    print("up:", testbed.name, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def command(tmp_path: Path, pytestconfig: pytest.Config) -> list[str]:
    """Pytest in a folder with a topology for its only module."""
    (tmp_path / "test_inner.yaml").write_text(TOPOLOGY.read_text())
    vm = pytestconfig.getoption("testbed_vm")
    module = str(tmp_path / "test_inner.py")
    return [sys.executable, "-m", "pytest", f"--testbed-vm={vm}", "-p", "no:cacheprovider", module]


def test_captures_and_bundle_of_the_test_that_failed(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "test_inner.py").write_text(FAILING)
    options = ["--testbed-pcap=seen", "--testbed-bundles=kept"]
    done = subprocess.run(
        [*command, *options], cwd=tmp_path, check=False, text=True, capture_output=True, timeout=200
    )
    assert "1 failed, 1 passed" in done.stdout, done.stdout
    (file,) = (tmp_path / "seen").iterdir()
    assert file.name == "test_inner.py_test_fails.pcapng"
    pings = [p for p in read_packets(file.read_bytes()) if p.sniffed_on == "web:eth0" and ICMP in p]
    sent = [p for p in pings if p[IP].dst == "10.1.3.112" and p[ICMP].type == 8]
    assert len(sent) == 2

    (kept,) = (tmp_path / "kept").iterdir()
    assert f"support bundle: {kept}" in done.stdout
    with tarfile.open(kept) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"capture.pcapng", "nodes/web/ip.json", "nodes/cnd2/bgpd.log", "test.txt"} <= names
    assert "errors.txt" not in names


def test_testbeds_end_with_a_pytest_that_is_killed(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "test_inner.py").write_text(WAITING)
    with subprocess.Popen([*command, "-s"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = next(filter(None, (re.search(r"up: (\S+)", line) for line in process.stdout)))
        assert registry.alive(found[1])
        process.send_signal(signal.SIGKILL)
    eventually(lambda: not registry.alive(found[1]), timeout=60)
