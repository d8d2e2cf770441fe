"""The options that the plugin adds to pytest's command line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

TEMPORARY = "pytest's cache"


def add(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("testbed", "network testbeds")
    _add_testbeds(group)
    _add_failures(group)


def _add_testbeds(group: pytest.OptionGroup) -> None:
    """Add what says which testbeds there are, and where and how they run."""
    group.addoption(
        "--topology",
        metavar="TOPOLOGY",
        help="the topology (file or name) of tests that use the fixture `testbed` without "
        "the marker",
    )
    group.addoption(
        "--testbed",
        dest="testbed_name",
        metavar="NAME",
        help="check this running testbed with the conformance suites",
    )
    group.addoption(
        "--testbed-vm",
        choices=("auto", "always", "never", "uml", "qemu"),
        default=os.environ.get("TESTBED_VM", "auto"),
        help="use a micro VM: if this kernel lacks features (auto), always, never, or this kind",
    )
    group.addoption(
        "--testbed-time",
        choices=("auto", "real", "virtual"),
        help="the time of testbeds whose tests ask for none with the marker `testbed`, instead of "
        "their topologies' own; auto: virtual if a kernel here can skip time, else real",
    )
    group.addoption(
        "--testbed-timeout",
        type=float,
        default=120.0,
        metavar="SECONDS",
        help="how long to wait for a testbed to be ready (120)",
    )
    group.addoption(
        "--testbed-keep",
        action="store_true",
        help="leave testbeds running at the end, and print their names",
    )


def _add_failures(group: pytest.OptionGroup) -> None:
    """Add what is kept of tests that fail."""
    group.addoption(
        "--testbed-pcap",
        nargs="?",
        type=Path,
        const=Path("testbed-pcap"),
        metavar="DIR",
        help="capture on all cables and tunnels during each test, and keep the captures of "
        "failed tests in DIR (testbed-pcap)",
    )
    group.addoption(
        "--testbed-bundles",
        type=Path,
        metavar="DIR",
        help=f"where to write the support bundles of failed tests ({TEMPORARY})",
    )
    group.addoption(
        "--testbed-shell-on-error",
        action="store_true",
        help="when a test fails, offer a shell in a node of its testbed",
    )


def time_of(config: pytest.Config) -> str | None:
    """Return the time that --testbed-time asks for; None for the topology's own."""
    asked: str | None = config.getoption("testbed_time")
    return time_for(config.getoption("testbed_vm")) if asked == "auto" else asked


def time_for(vm: str) -> str:
    """Return virtual if testbeds run in a kernel that can skip time, else real."""
    from testbed.guest import uml_kernels  # noqa: PLC0415

    able = vm in {"auto", "always", "uml"} and uml_kernels.find((), virtual_time=True) is not None
    return "virtual" if able else "real"


def check(config: pytest.Config) -> None:
    """Refuse options that exclude each other."""
    if config.getoption("testbed_shell_on_error"):
        if config.getoption("dist", "no") != "no" or hasattr(config, "workerinput"):
            raise pytest.UsageError(
                "--testbed-shell-on-error needs a terminal, but pytest-xdist's workers have "
                "none: leave out -n, or add -n 0"
            )
        if not _has_terminal(config):
            raise pytest.UsageError("--testbed-shell-on-error needs a terminal")


def _has_terminal(config: pytest.Config) -> bool:
    manager = config.pluginmanager.getplugin("capturemanager")
    if manager is not None:
        manager.suspend_global_capture(in_=True)
    try:
        return os.isatty(0) and os.isatty(1)
    finally:
        if manager is not None:
            manager.resume_global_capture()
