"""Which user-mode kernel is chosen, and how one is built; kernels and tools are stand-ins."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from testbed.errors import HostError, TestbedError, UsageError
from testbed.guest import kernel_build, kernel_source, uml_kernels
from testbed.guest.kinds import preferred
from testbed.guest.uml import UmlGuest
from testbed.guest.uml_kernels import GUEST_OPTIONS, OPTION, WIRE_OPTIONS, UmlKernel
from testbed.kernel.trials import OF_GUESTS, PROBES

EVERYTHING = {
    *GUEST_OPTIONS,
    *WIRE_OPTIONS.values(),
    *(name for probe in (*PROBES, *OF_GUESTS) for name in OPTION.findall(probe.option)),
}
MAKE = """\
#!/bin/bash
echo "$*" >>"$(dirname "$0")/calls"
for word; do case $word in O=*) objects=${word#O=} ;; esac; done
case "$*" in
    *allnoconfig*) touch "$objects/.config" ;;
    *) if [ -e "$(dirname "$0")/broken" ]; then
           echo "  CC      a.o"; echo "a.c:1: error: no good"; exit 2
       fi
       for number in 1 2 3; do echo "  CC      $number.o"; done
       cp "$(dirname "$0")/kernel" "$objects/linux" ;;
esac
"""


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def kernel(path: Path, version: str, options: set[str]) -> Path:
    lines = "\n".join(f"{option}=y" for option in sorted(options))
    return script(
        path, f"#!/bin/sh\ncase $1 in --version) echo {version} ;; *) echo '{lines}' ;; esac\n"
    )


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("TESTBED_UML_KERNEL", "TESTBED_GUEST_KIND"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TESTBED_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(uml_kernels, "SYSTEM_CACHE", tmp_path / "system")
    monkeypatch.setattr(uml_kernels, "DISTRIBUTION", "no-such-linux.uml")
    return tmp_path / "cache" / "kernels"


def test_the_configuration_has_every_feature() -> None:
    text = kernel_build.OPTIONS.read_text()
    assert set(text.split()) >= {f"{option}=y" for option in EVERYTHING}


def test_the_newest_that_has_the_features_is_chosen(cache: Path) -> None:
    kernel(cache / "7.2.9-aa" / "linux", "7.2.9", EVERYTHING)
    newer = kernel(cache / "7.2.13-aa" / "linux", "7.2.13", EVERYTHING - {"CONFIG_BONDING"})
    kernel(cache / "6.12.1-aa" / "linux", "6.12.1", EVERYTHING)
    assert [k.version for k in uml_kernels.candidates()] == ["7.2.13", "7.2.9", "6.12.1"]
    found = uml_kernels.find({"veth", "vlan"})
    assert found is not None
    assert found.path == newer
    assert UmlKernel(newer).lacking() == ["bond"]
    found = uml_kernels.find()
    assert found is not None
    assert found.version == "7.2.9"


def test_what_is_no_kernel_is_said(cache: Path, tmp_path: Path) -> None:
    old = kernel(tmp_path / "old", "6.1.0", EVERYTHING)
    bare = kernel(tmp_path / "bare", "7.2.0", EVERYTHING - {"CONFIG_HOSTFS"})
    other = script(tmp_path / "other", "#!/bin/sh\necho hello\n")
    assert "seccomp" in UmlKernel(old).problems()[0]
    assert "CONFIG_HOSTFS" in UmlKernel(bare).problems()[0]
    assert "not a user-mode kernel" in UmlKernel(other).problems()[0]
    assert "not a program" in UmlKernel(tmp_path / "none").problems()[0]
    assert uml_kernels.find(()) is None


def test_the_distributions_kernel_is_used_where_it_suffices(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uml_kernels, "DISTRIBUTION", "linux.uml")
    path = kernel(tmp_path / "bin" / "linux.uml", "7.2.1", EVERYTHING - {"CONFIG_WIREGUARD"})
    monkeypatch.setenv("PATH", str(path.parent), prepend=":")
    assert preferred().name == "qemu"
    assert preferred({"bond", "vlan"}).name == "uml"
    found = uml_kernels.find({"bond", "vlan"})
    assert found is not None
    assert (found.path, found.origin) == (path, "the distribution's")
    assert found.complaints() == ["lacks wireguard"]
    assert f"{path} (the distribution's): lacks wireguard" in UmlGuest().hints()
    kernel(cache / "7.2.0-aa" / "linux", "7.2.0", EVERYTHING)  # one built here comes first
    assert [k.origin for k in uml_kernels.candidates()] == ["built here", "the distribution's"]


def test_an_old_kernel_with_modules_is_told_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = {"CONFIG_BONDING", "CONFIG_VETH"}
    path = kernel(tmp_path / "old", "6.1.176", EVERYTHING - modules - {"CONFIG_WIREGUARD"})
    listed = "".join(f"{option}=m\n" for option in sorted(modules))
    path.write_text(path.read_text().replace("echo '", f"echo '{listed}"))
    monkeypatch.setattr(uml_kernels, "CPUINFO", tmp_path / "cpuinfo")
    (tmp_path / "cpuinfo").write_text("flags : fpu amx_tile avx\n")
    amx = ", and may crash on this processor, which has AMX"
    assert UmlKernel(path).complaints() == [
        f"6.1.176 is older than 6.16, which has seccomp mode{amx}",
        "lacks wireguard",
        "has veth, bond only as modules, which are not loaded",
    ]


def test_a_kernel_can_be_named(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel(cache / "7.2.9-aa" / "linux", "7.2.9", EVERYTHING)
    named = kernel(tmp_path / "named", "7.0.0", EVERYTHING)
    monkeypatch.setenv("TESTBED_UML_KERNEL", str(named))
    assert [k.path for k in uml_kernels.candidates()] == [named]


def test_the_fastest_guest_that_suffices_is_preferred(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert preferred().name == "qemu"
    kernel(cache / "7.2.9-aa" / "linux", "7.2.9", EVERYTHING - {"CONFIG_WIREGUARD"})
    assert preferred().name == "qemu"
    assert preferred({"bond"}).name == "uml"
    monkeypatch.setenv("TESTBED_GUEST_KIND", "uml")
    assert preferred().name == "uml"
    monkeypatch.setenv("TESTBED_GUEST_KIND", "xen")
    with pytest.raises(UsageError, match="xen"):
        preferred()


# -- building -----------------------------------------------------------------------------------


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand-ins for make and strip; the kernel that comes out."""
    directory = tmp_path / "tools"
    script(directory / "make", MAKE)
    script(directory / "strip", '#!/bin/sh\ncp "$3" "$2"\n')
    kernel(directory / "kernel", "7.2.13", EVERYTHING)
    monkeypatch.setenv("PATH", str(directory), prepend=":")
    monkeypatch.setattr(kernel_build, "missing_packages", list)
    return directory


@pytest.fixture
def tarball(tmp_path: Path) -> Path:
    tree = tmp_path / "linux-7.2.13"
    (tree / "sound").mkdir(parents=True)
    (tree / "sound" / "beep.c").touch()
    (tree / "sound" / "Kconfig").touch()
    (tree / "Makefile").write_text("VERSION = 7\nPATCHLEVEL = 2\nSUBLEVEL = 13\n")
    path = tmp_path / "linux.tar.xz"
    subprocess.run(["tar", "-cJf", path, "-C", tmp_path, tree.name], check=True)
    return path


def test_a_build_is_stored_and_found(cache: Path, tools: Path, tarball: Path) -> None:
    said: list[tuple[str, float | None]] = []
    built = kernel_build.build(tarball, lambda text, part: said.append((text, part)))
    assert built.kernel.path == cache / f"7.2.13-{kernel_build.config_hash()}" / "linux"
    assert kernel_build.current() == built.kernel
    assert uml_kernels.find() == built.kernel
    assert {path.name for path in cache.iterdir()} == {built.kernel.path.parent.name, ".lock"}
    parts = [part for text, part in said if text == "compiling" and part is not None]
    assert parts == sorted(parts)
    assert len(parts) == 3


def test_an_interrupted_build_goes_on(cache: Path, tools: Path, tarball: Path) -> None:
    (tools / "broken").touch()
    with pytest.raises(HostError, match="no good"):
        kernel_build.build(tarball, lambda *_: None)
    assert not list(cache.glob("[0-9]*"))
    assert (cache / ".work" / "source" / "sound" / "Kconfig").exists()
    assert not (cache / ".work" / "source" / "sound" / "beep.c").exists()  # can't be built in
    (tools / "broken").unlink()
    said: list[str] = []
    kernel_build.build(tarball, lambda text, _: said.append(text))
    assert set(said) == {"compiling"}
    calls = (tools / "calls").read_text()
    assert calls.count("allnoconfig") == 1


def test_a_kernel_that_lacks_something_is_not_stored(
    cache: Path, tools: Path, tarball: Path
) -> None:
    kernel(tools / "kernel", "7.2.13", EVERYTHING - {"CONFIG_VLAN_8021Q"})
    with pytest.raises(HostError, match="no vlan"):
        kernel_build.build(tarball, lambda *_: None)
    assert not list(cache.glob("[0-9]*"))


def test_what_is_no_source_is_said(cache: Path, tools: Path, tmp_path: Path) -> None:
    for path in (tmp_path, Path(__file__), tmp_path / "none"):
        with pytest.raises(UsageError):
            kernel_build.build(path, lambda *_: None)


def test_missing_tools_are_named(
    cache: Path, tarball: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel_build, "missing_packages", lambda: ["flex", "bc"])
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(TestbedError) as caught:
        kernel_build.build(tarball, lambda *_: None)
    assert caught.value.hint == "apt-get install flex bc"


def test_the_newest_package_by_number() -> None:
    names = ["linux-source-6.9", "linux-source-7.10", "linux-source-7.9", "linux-source"]
    assert kernel_source.newest(names) == "linux-source-7.10"
    assert kernel_source.newest(["linux-source-6.12"]) is None


def test_a_build_whose_command_is_killed_ends_before_the_next(
    cache: Path, tools: Path, tarball: Path
) -> None:
    """The lock is the compilers', too, and they end when the command does."""
    script(
        tools / "make",
        '#!/bin/sh\ncase "$*" in *allnoconfig*) exit ;; esac\n'
        'echo "  CC      1.o"; echo $$ >"$(dirname "$0")/pid"; exec sleep 600\n',
    )
    build = (
        "import sys; from pathlib import Path; from testbed.guest import kernel_build as k; "
        "k.missing_packages = list; k.build(Path(sys.argv[1]), lambda *_: None)"
    )
    command = subprocess.Popen([sys.executable, "-c", build, tarball])
    deadline = time.monotonic() + 30
    while not (tools / "pid").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    with (cache / ".lock").open() as lock:
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        command.kill()
        command.wait()
        fcntl.flock(lock, fcntl.LOCK_EX)  # once the last compiler is gone
    assert not Path("/proc", (tools / "pid").read_text().strip(), "exe").exists()
