"""Where a testbed runs, over hosts that are made up."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from testbed.errors import HostError, UsageError
from testbed.guest import uml_kernels
from testbed.guest.kinds import KINDS
from testbed.guest.qemu import QemuGuest
from testbed.guest.uml_kernels import GUEST_OPTIONS, OPTION
from testbed.kernel import features
from testbed.kernel.features import Feature
from testbed.kernel.trials import OF_GUESTS, PROBES
from testbed.lifecycle import start
from testbed.plan.model import Bond, Interface, Node, Plan, Veth
from testbed.plan.roles import Role

OPTIONS = {
    *GUEST_OPTIONS,
    *(name for probe in (*PROBES, *OF_GUESTS) for name in OPTION.findall(probe.option)),
}
PLAN = Plan(
    "demo",
    (
        Node("a", role=Role.HOST, group="g", interfaces=(Interface("b", Bond()),)),
        Node("b", role=Role.HOST, group="g", interfaces=(Interface("e", Veth("a", "e")),)),
    ),
)
NEEDED = {"namespaces", "bond", "veth"}
RUNS_KVM, NO_KVM = "fpu vme svm avx", "fpu vme avx"


@dataclass(frozen=True)
class Host:
    """What a machine has."""

    native: bool = False  # its own kernel has what the plan needs
    uml: tuple[str, ...] = ()  # features that its user-mode kernels lack, one for each
    kvm: bool = False  # usable
    flags: str = ""  # of the processor, where it is not as `kvm` says
    kvm_opens: bool = False  # whatever the processor says


def pretend(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lacks = () if host.native else ("bond",)
    rows = [Feature(n, n not in lacks, "", "", "") for n in sorted(NEEDED | {"wireguard"})]
    monkeypatch.setattr(features, "probe", lambda: rows)
    monkeypatch.setenv("TESTBED_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(uml_kernels, "SYSTEM_CACHE", tmp_path / "system")
    monkeypatch.setattr(uml_kernels, "DISTRIBUTION", "no-such-linux.uml")
    for name in ("TESTBED_UML_KERNEL", "TESTBED_GUEST_KIND"):
        monkeypatch.delenv(name, raising=False)
    for number, lacking in enumerate(host.uml):
        path = tmp_path / "cache" / "kernels" / f"7.{number}.0-aa" / "linux"
        path.parent.mkdir(parents=True)
        lines = "\n".join(f"{option}=y" for option in sorted(OPTIONS) if option != lacking)
        path.write_text(
            f"#!/bin/sh\ncase $1 in --version) echo 7.{number}.0 ;; *) echo '{lines}' ;; esac\n"
        )
        path.chmod(0o755)
    cpuinfo, kvm = tmp_path / "cpuinfo", tmp_path / "kvm"
    flags = host.flags or (RUNS_KVM if host.kvm else NO_KVM)
    cpuinfo.write_text(f"processor : 0\nflags\t\t: {flags}\n\nprocessor : 1\n")
    if host.kvm or host.kvm_opens:
        kvm.touch()
    monkeypatch.setattr("testbed.guest.qemu.CPUINFO", cpuinfo)
    monkeypatch.setattr("testbed.guest.qemu.KVM", kvm)


def chosen(vm: str) -> list[str]:
    """The kind of place, and how it is tried."""
    words = start._choose(vm, PLAN, lambda _: None)
    if words[0] == "testbed.keeper":
        return ["native"]
    kind = words[words.index("--guest") + 1]
    kernel = words[words.index("--kernel") + 1] if "--kernel" in words else ""
    ways = [how for _, how in KINDS[kind]().attempts(accelerate=True)]
    return [kind, *([Path(kernel).parent.name] if kernel else ways)]


ALL, NO_BOND, NO_WIREGUARD = "", "CONFIG_BONDING", "CONFIG_WIREGUARD"
EMULATED = ["qemu", "emulated"]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (Host(native=True), ["native"]),
        (Host(native=True, uml=(ALL,), kvm=True), ["native"]),
        (Host(uml=(ALL,)), ["uml", "7.0.0-aa"]),
        (Host(uml=(ALL,), kvm=True), ["uml", "7.0.0-aa"]),
        (Host(uml=(ALL, NO_BOND)), ["uml", "7.0.0-aa"]),  # the newer one lacks what is needed
        (Host(uml=(ALL, NO_WIREGUARD)), ["uml", "7.1.0-aa"]),  # what it lacks is not needed
        (Host(uml=(NO_BOND,)), EMULATED),
        (Host(uml=(NO_BOND,), kvm=True), ["qemu", "accelerated by KVM", "emulated"]),
        (Host(kvm=True), ["qemu", "accelerated by KVM", "emulated"]),
        (Host(flags=RUNS_KVM), EMULATED),
        (Host(kvm_opens=True), EMULATED),  # paravirtual nesting
        (Host(flags="fpu xvmx svm_lock", kvm_opens=True), EMULATED),
        (Host(), EMULATED),
    ],
    ids=str,
)
def test_auto(
    host: Host, expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(host, tmp_path, monkeypatch)
    assert chosen("auto") == expected
    if expected != ["native"]:
        assert chosen("always") == expected
        with pytest.raises(HostError, match="lacks bond"):
            chosen("never")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_named_is_used(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(Host(native=True, uml=(ALL,), kvm=True), tmp_path, monkeypatch)
    assert chosen(kind)[0] == kind
    assert chosen("never") == ["native"]
    assert chosen("always")[0] == "uml"
    monkeypatch.setenv("TESTBED_GUEST_KIND", kind)
    assert chosen("always")[0] == kind
    with pytest.raises(UsageError, match="xen"):
        chosen("xen")


def test_emulation_can_be_forced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(Host(kvm=True), tmp_path, monkeypatch)
    assert QemuGuest().attempts(accelerate=False) == [(False, "emulated")]
    assert os.access(tmp_path / "kvm", os.R_OK)
