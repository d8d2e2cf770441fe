"""What is kept of a test that failed: its testbed's state, captures and a support bundle."""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from testbed.pytest_plugin.captures import Recorder
    from testbed.testing import Testbed

RECORDER: pytest.StashKey[Recorder] = pytest.StashKey()
FOLDER: pytest.StashKey[Path] = pytest.StashKey()
CACHED = "testbed-bundles"
LONGEST_NAME = 150


def testbeds_of(item: pytest.Item) -> list[Testbed]:
    """The testbeds that the test's fixtures have given it."""
    from testbed.testing import Testbed  # noqa: PLC0415

    found: dict[str, Testbed] = {}
    for value in getattr(item, "funcargs", {}).values():
        if isinstance(value, Testbed):
            found.setdefault(value.name, value)
    return list(found.values())


def describe(item: pytest.Item, report: pytest.TestReport) -> None:
    """Add to a failed test's report what is wrong in its testbeds, and what has been kept."""
    pcap, capture = b"", ""
    try:
        if pcap := _stop_capture(item):
            capture = f"capture: {_pcap_file(item)}"
    except Exception as error:  # noqa: BLE001 - the test's own failure is what counts
        capture = f"no capture: {error}"
    for testbed in testbeds_of(item):
        lines = [capture] if capture else []
        try:
            problems = testbed.problems()
            lines += problems or ["everything is as it should be"]
        except Exception as error:  # noqa: BLE001 - the test's own failure is what counts
            lines.append(f"its state cannot be read: {error}")
        lines.append(_bundle(item, testbed, report, pcap))
        report.sections.append((f"state of testbed {testbed.name}", "\n".join(lines)))


def _stop_capture(item: pytest.Item) -> bytes:
    """End the test's capture and write its file; empty where there is none."""
    from testbed.pytest_plugin.captures import save  # noqa: PLC0415

    recorder = item.stash.get(RECORDER, None)
    if recorder is None:
        return b""
    pcap = recorder.stop()
    save(pcap, _pcap_file(item))
    return pcap


def _pcap_file(item: pytest.Item) -> Path:
    folder: Path = item.config.getoption("testbed_pcap")
    return _absolute(item.config, folder) / f"{file_name(item.nodeid)}.pcapng"


def file_name(test: str) -> str:
    """A test's id as a file's name; long ones keep their end."""
    return re.sub(r"[^A-Za-z0-9._\[\]-]+", "_", test)[-LONGEST_NAME:].strip("_") or "test"


def _absolute(config: pytest.Config, path: Path) -> Path:
    return config.invocation_params.dir / path


def _bundle(item: pytest.Item, testbed: Testbed, report: pytest.TestReport, pcap: bytes) -> str:
    """Write the support bundle; a line that says where it is, or why there is none."""
    from testbed.probes import bundle  # noqa: PLC0415

    name = file_name(item.nodeid) + ("" if report.when == "call" else f"-{report.when}")
    path = bundles_folder(item.config) / f"{name}.{testbed.name}.tar.gz"
    extra = {"capture.pcapng": pcap} if pcap else {}
    extra["test.txt"] = f"{item.nodeid}\n\n{report.longreprtext}\n".encode()
    try:
        errors = bundle.write(testbed.client, path, extra)
    except Exception as error:  # noqa: BLE001 - the test's own failure is what counts
        return f"no support bundle: {error}"
    return f"support bundle: {path}" + (f" (without {', '.join(errors)})" if errors else "")


def bundles_folder(config: pytest.Config) -> Path:
    """Where bundles go: the folder that was chosen, else one in pytest's cache."""
    if (chosen := config.getoption("testbed_bundles")) is not None:
        return _absolute(config, chosen)
    if FOLDER not in config.stash:
        cache: Any = getattr(config, "cache", None)
        config.stash[FOLDER] = (
            Path(cache.mkdir(CACHED)) if cache else Path(tempfile.mkdtemp(prefix=f"{CACHED}-"))
        )
    return config.stash[FOLDER]


def forget_old_bundles(config: pytest.Config) -> None:
    """Remove the last run's bundles from pytest's cache; a folder of the user's is left alone."""
    cache: Any = getattr(config, "cache", None)
    if cache and config.getoption("testbed_bundles") is None:
        with contextlib.suppress(OSError):
            shutil.rmtree(cache.mkdir(CACHED))


def open_shell(item: pytest.Item, text: str) -> None:
    """Let the user choose a node of the test's testbed, and give them a shell in it."""
    testbeds = testbeds_of(item)
    if not testbeds:
        return
    manager = item.config.pluginmanager.getplugin("capturemanager")
    if manager is not None:  # the next test's start resumes it, as after pytest's own --pdb
        manager.suspend_global_capture(in_=True)
    print(f"\n{item.nodeid} failed:\n{text}")  # noqa: T201
    for testbed in testbeds:
        _choose_nodes(testbed)


def _choose_nodes(testbed: Testbed) -> None:
    from testbed.control.terminal import run_interactive  # noqa: PLC0415
    from testbed.errors import TestbedError  # noqa: PLC0415

    names = [node.name for node in testbed.nodes]
    print(f"testbed {testbed.name} has the nodes {', '.join(names)}")  # noqa: T201
    while True:
        try:
            chosen = input("shell in which node? (empty: continue) ").strip()
        except EOFError:
            return
        if not chosen:
            return
        try:
            testbed.node(chosen)
            argv = ["bash", "--norc", "--noprofile", "-i"]
            prompt = {"PS1": f"[{testbed.name}:{chosen}] \\w \\$ "}
            run_interactive(testbed.client, chosen, argv, tty=True, env=prompt)
        except TestbedError as error:
            print(f"{error.message}\n{error.hint or ''}".rstrip())  # noqa: T201
