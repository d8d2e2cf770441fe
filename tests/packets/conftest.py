"""Which kinds of micro VM the tests of the micro VM run in.

A test that takes `guest_kind` runs once in each kind. --testbed-vm (or
TESTBED_VM) chooses, as it does for the testbeds of all other tests: `uml` and
`qemu` mean that kind, `never` none. Otherwise everything runs in the user-mode
kernel, and of QEMU, which is slow, only what is marked `smoke`.
"""

from __future__ import annotations

import pytest

from testbed.guest.kinds import KINDS

FULL = "uml"


def kinds_of(vm: str, *, smoke: bool) -> list[str]:
    """The kinds that a test runs in."""
    if vm in KINDS:
        return [vm]
    if vm == "never":
        return []
    return [kind for kind in KINDS if smoke or kind == FULL]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "guest_kind" in metafunc.fixturenames:
        smoke = any(mark.name == "smoke" for mark in metafunc.definition.iter_markers())
        kinds = kinds_of(metafunc.config.getoption("testbed_vm"), smoke=smoke)
        metafunc.parametrize("guest_kind", kinds, indirect=True, scope="module")


@pytest.fixture(scope="module")
def guest_kind(request: pytest.FixtureRequest) -> str:
    """The kind of micro VM that the test is for."""
    name: str = request.param
    if problems := KINDS[name]().problems():
        pytest.skip("; ".join(problems))
    return name
