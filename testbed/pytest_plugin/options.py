"""The options that the plugin adds to pytest's command line, and what they exclude."""

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
        metavar="FILE",
        help="topology file for tests that use the fixture `testbed` without the marker",
    )
    group.addoption(
        "--testbed",
        dest="testbed_name",
        metavar="NAME",
        help="the conformance suites: check this testbed, which runs",
    )
    group.addoption(
        "--testbed-vm",
        choices=("auto", "always", "never", "uml", "qemu"),
        default=os.environ.get("TESTBED_VM", "auto"),
        help="run testbeds in a micro VM: where this kernel can't (auto), always, never; "
        "uml or qemu: in that kind",
    )
    group.addoption(
        "--testbed-time",
        choices=("auto", "real", "virtual"),
        help="the time of testbeds whose tests ask for none by the marker `testbed`, instead of "
        "their topologies' own; auto: virtual where a kernel here can skip time, else real",
    )
    group.addoption(
        "--testbed-timeout",
        type=float,
        default=120.0,
        metavar="SECONDS",
        help="how long a testbed may take until everything in it is ready (120)",
    )
    group.addoption(
        "--testbed-keep",
        action="store_true",
        help="leave testbeds running at the end, and say how they are called",
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
        "those that fail, in DIR (testbed-pcap)",
    )
    group.addoption(
        "--testbed-bundles",
        type=Path,
        metavar="DIR",
        help=f"where the support bundle of each failed test is written ({TEMPORARY})",
    )
    group.addoption(
        "--testbed-shell-on-error",
        action="store_true",
        help="when a test fails, open a shell in a node of its testbed",
    )


def time_of(config: pytest.Config) -> str | None:
    """Return the time that --testbed-time asks for; None: the topology's own."""
    asked: str | None = config.getoption("testbed_time")
    return time_for(config.getoption("testbed_vm")) if asked == "auto" else asked


def time_for(vm: str) -> str:
    """Return virtual where testbeds run in a kernel that can skip time, else real."""
    from testbed.guest import uml_kernels  # noqa: PLC0415

    able = vm in {"auto", "always", "uml"} and uml_kernels.find((), virtual_time=True) is not None
    return "virtual" if able else "real"


def check(config: pytest.Config) -> None:
    """Refuse what can't be done together."""
    if config.getoption("testbed_shell_on_error"):
        if config.getoption("dist", "no") != "no" or hasattr(config, "workerinput"):
            raise pytest.UsageError(
                "--testbed-shell-on-error needs the terminal, which pytest-xdist's workers have "
                "not: leave out -n, or add -n 0"
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
