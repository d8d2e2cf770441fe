"""The scripts, in a scratch checkout with stand-ins for what they install and start."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
SCRIPTS = [
    path
    for folder in ("scripts", ".ci", "benchmarks")
    for path in sorted((CHECKOUT / folder).glob("*"))
    if path.is_file() and b"sh" in path.read_bytes().partition(b"\n")[0]
]
PIP = """\
import pathlib, sys
bin = pathlib.Path(sys.prefix, "bin")
with (bin.parent / "pip-calls").open("a") as log:
    log.write(" ".join(sys.argv[1:]) + "\\n")
(bin / "testbed").touch(mode=0o755)
"""
TESTBED = """\
#!/bin/bash
echo "$*" >>"$0.calls"
case "$*" in
    *'--df -s 1273') echo "From 10.0.0.1 icmp_seq=1 Frag needed and DF set (mtu = 1300)"
                   exit 1 ;;
    *) case "$*" in $BROKEN) echo "as if broken"; exit 1 ;; esac ;;
esac
"""


def run(
    script: Path, *arguments: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a script with the given additions to the environment, stdin closed."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("TESTBED_")}
    return subprocess.run(
        [str(script), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=inherited | (env or {}),
        preexec_fn=lambda: os.close(0),
    )


def executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the scripts need of the checkout."""
    copy = tmp_path / "a checkout"  # with a space
    copy.mkdir()
    shutil.copytree(CHECKOUT / "scripts", copy / "scripts")
    shutil.copytree(CHECKOUT / "testbed", copy / "testbed", ignore=shutil.ignore_patterns("*.pyc"))
    for name in ("pyproject.toml", "Vagrantfile"):
        shutil.copy(CHECKOUT / name, copy)
    return copy


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_bash_can_read_it(script: Path) -> None:
    assert run(Path("/bin/bash"), "-n", str(script)).returncode == 0
    assert os.access(script, os.X_OK) or script.name == "common.sh"


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="no shellcheck here")
def test_shellcheck_finds_nothing() -> None:
    found = subprocess.run(
        ["shellcheck", "-x", *map(str, SCRIPTS)],
        capture_output=True,
        text=True,
        check=False,
        cwd=CHECKOUT,
    )
    assert not found.stdout


@pytest.mark.skipif(not shutil.which("ruby"), reason="no ruby here")
def test_ruby_can_read_the_vagrantfile() -> None:
    assert run(Path("/usr/bin/env"), "ruby", "-c", str(CHECKOUT / "Vagrantfile")).returncode == 0


@pytest.mark.parametrize("name", ["setup", "quickstart", "test", "build-guest-kernel"])
def test_help_says_how_it_is_called(name: str) -> None:
    help_text = run(CHECKOUT / "scripts" / name, "--help")
    assert help_text.returncode == 0
    assert f"scripts/{name}" in help_text.stdout
    assert "#" not in help_text.stdout
    assert "set -" not in help_text.stdout


@pytest.mark.parametrize("name", ["setup", "quickstart"])
def test_an_unknown_argument_is_wrong_usage(name: str) -> None:
    wrong = run(CHECKOUT / "scripts" / name, "--no-such-thing")
    assert wrong.returncode == 2
    assert "--no-such-thing" in wrong.stderr


# -- scripts/setup ----------------------------------------------------------------------------


@pytest.fixture
def prepared(checkout: Path, tmp_path: Path) -> dict[str, str]:
    """A virtual environment whose pip only notes that it was called; an own bin directory."""
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    packages = next(venv.glob("lib/python*/site-packages"))
    (packages / "pip").mkdir()
    (packages / "pip" / "__main__.py").write_text(PIP)
    (tmp_path / "bin").mkdir()
    environment = {
        "TESTBED_VENV": str(venv),
        "TESTBED_BIN": str(tmp_path / "bin"),
        "TESTBED_VM": "never",
    }
    missing = run(checkout / "scripts" / "setup", "--no-system", env=environment)
    if "missing programs" in missing.stderr:
        pytest.skip(missing.stderr)
    assert missing.returncode == 0, missing.stderr
    assert "nothing to install" not in missing.stdout
    return environment


def pip_calls(environment: dict[str, str]) -> list[str]:
    return (Path(environment["TESTBED_VENV"]) / "pip-calls").read_text().splitlines()


def test_a_second_set_up_has_nothing_to_do(checkout: Path, prepared: dict[str, str]) -> None:
    again = run(checkout / "scripts" / "setup", "--no-system", env=prepared)
    assert again.returncode == 0
    assert again.stdout == "==> set-up: nothing to install\n"
    assert again.stderr == ""
    assert len(pip_calls(prepared)) == 1
    assert pip_calls(prepared)[0].endswith(f"--editable {checkout}[dev]")


def test_a_changed_pyproject_is_installed(checkout: Path, prepared: dict[str, str]) -> None:
    with (checkout / "pyproject.toml").open("a") as file:
        file.write("# changed\n")
    run(checkout / "scripts" / "setup", "--no-system", env=prepared)
    assert len(pip_calls(prepared)) == 2


def test_the_command_is_linked(checkout: Path, prepared: dict[str, str]) -> None:
    link = Path(prepared["TESTBED_BIN"]) / "testbed"
    command = Path(prepared["TESTBED_VENV"]) / "bin" / "testbed"
    assert link.readlink() == command
    link.unlink()
    link.symlink_to("/nonexistent/.venv/bin/testbed")  # of a checkout that is gone
    run(checkout / "scripts" / "setup", "--no-system", env=prepared)
    assert link.readlink() == command


@pytest.mark.parametrize("kind", ["file", "link", "checkout"])
def test_a_foreign_command_is_left_alone(
    checkout: Path, prepared: dict[str, str], tmp_path: Path, kind: str
) -> None:
    link = Path(prepared["TESTBED_BIN"]) / "testbed"
    link.unlink()
    if kind == "file":
        link.write_text("somebody else's")
    else:
        link.symlink_to(executable(tmp_path / "other" / "bin" / "testbed", "somebody else's"))
    if kind == "checkout":
        (tmp_path / "other" / ".testbed-stamp").touch()
    done = run(checkout / "scripts" / "setup", "--no-system", env=prepared)
    assert done.returncode == 0
    assert "stays" in done.stderr
    assert link.read_text() == "somebody else's"


def test_a_directory_that_is_no_environment_is_not_removed(
    checkout: Path, prepared: dict[str, str], tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis").touch()
    prepared["TESTBED_VENV"] = str(precious)
    done = run(checkout / "scripts" / "setup", "--no-system", env=prepared)
    assert done.returncode == 3
    assert "in the way" in done.stderr
    assert (precious / "thesis").exists()


@pytest.mark.skipif(
    os.geteuid() != 0 or not Path("/usr/lib/frr").is_dir(), reason="hides FRR in a mount namespace"
)
def test_missing_programs_are_named_where_they_cannot_be_installed(
    checkout: Path, prepared: dict[str, str]
) -> None:
    hidden = f"mount -t tmpfs none /usr/lib/frr && exec '{checkout}/scripts/setup' --no-system"
    done = run(Path("/usr/bin/unshare"), "--mount", "sh", "-c", hidden, env=prepared)
    assert done.returncode == 3
    assert "missing programs: /usr/lib/frr/bgpd" in done.stderr
    assert "frr" in done.stderr


@pytest.fixture
def no_root(tmp_path: Path) -> str:
    """A PATH on which one is an ordinary user, and sudo refuses."""
    executable(tmp_path / "user" / "id", "#!/bin/sh\necho 1000\n")
    executable(tmp_path / "user" / "sudo", "#!/bin/sh\nexit 1\n")
    return f"{tmp_path / 'user'}:{os.environ['PATH']}"


@pytest.mark.skipif(
    os.geteuid() != 0 or not Path("/usr/lib/frr").is_dir() or shutil.which("apt-get") is None,
    reason="hides FRR in a mount namespace",
)
def test_an_ordinary_user_is_told_what_an_administrator_has_to_run(
    checkout: Path, prepared: dict[str, str], no_root: str
) -> None:
    hidden = f"mount -t tmpfs none /usr/lib/frr && PATH='{no_root}' '{checkout}/scripts/setup'"
    done = run(Path("/usr/bin/unshare"), "--mount", "sh", "-c", hidden, env=prepared)
    assert done.returncode == 3
    command = "an administrator must run: apt-get install --no-install-recommends frr"
    assert command in done.stderr


# -- scripts/quickstart -----------------------------------------------------------------------


@pytest.fixture
def stubbed(checkout: Path, tmp_path: Path) -> dict[str, str]:
    """No set-up, a testbed command that only notes its arguments, a sudo that asks nothing."""
    executable(checkout / "scripts" / "setup", "#!/bin/sh\necho setup\n")
    venv = checkout / ".venv" / "bin"
    executable(venv / "testbed", TESTBED)
    (venv / "python").symlink_to(sys.executable)
    executable(tmp_path / "stubs" / "sudo", '#!/bin/sh\n[ "$1" != -n ] || shift\nexec "$@"\n')
    return {"PATH": f"{tmp_path / 'stubs'}:{os.environ['PATH']}", "BROKEN": "nothing"}


def test_quickstart_brings_up_shows_and_proves(checkout: Path, stubbed: dict[str, str]) -> None:
    done = run(checkout / "scripts" / "quickstart", env=stubbed)
    assert done.returncode == 0, done.stdout + done.stderr
    calls = (checkout / ".venv" / "bin" / "testbed.calls").read_text().splitlines()
    assert calls[0] == "up -n two-racks two-racks"
    assert calls[1] == "graph -n two-racks"
    assert [call for call in calls if call.startswith("ping")] == [
        "ping -n two-racks a b",
        "ping -n two-racks a c",
        "ping -n two-racks desk a",
        "ping -n two-racks a c -c 2 --df -s 1272",
        "ping -n two-racks a c -c 2 --df -s 1273",
    ]
    assert calls[-2:] == ["status -n two-racks", "list -n two-racks --json"]
    assert done.stdout.count("  ok  ") == 5
    assert "testbed down" in done.stdout


@pytest.mark.parametrize("broken", ["graph*", "ping*a b", "ping*desk a", "*-s 1272*", "status*"])
def test_quickstart_fails_when_anything_does(
    checkout: Path, stubbed: dict[str, str], broken: str
) -> None:
    done = run(checkout / "scripts" / "quickstart", env=stubbed | {"BROKEN": broken})
    assert done.returncode == 1
    assert "all worked" not in done.stdout


@pytest.mark.parametrize(("way", "sudo"), [("native", 0), ("uml", 0), ("qemu", 1)])
def test_quickstart_asks_for_root_only_where_that_is_faster(
    checkout: Path, stubbed: dict[str, str], no_root: str, way: str, sudo: int
) -> None:
    """As an ordinary user who may use sudo."""
    doctor = f'case $1 in doctor) echo \'  "way": "{way}",\' ;; esac\n'
    executable(checkout / ".venv" / "bin" / "testbed", TESTBED + doctor)
    stubs = Path(stubbed["PATH"].partition(":")[0])
    executable(
        stubs / "sudo",
        f'#!/bin/sh\n[ "$1" != -n ] || shift\necho "$*" >>"{stubs}/sudo.calls"\nexec "$@"\n',
    )
    path = f"{stubs}:{no_root}"
    done = run(checkout / "scripts" / "quickstart", env=stubbed | {"PATH": path})
    assert done.returncode == 0, done.stdout + done.stderr
    assert (stubs / "sudo.calls").exists() == bool(sudo)
    assert ("sudo " in done.stdout) == bool(sudo)


def test_quickstart_fails_when_too_big_a_packet_passes(
    checkout: Path, stubbed: dict[str, str]
) -> None:
    text = TESTBED.replace("exit 1 ;;\n    *)", "exit 0 ;;\n    *)")
    executable(checkout / ".venv" / "bin" / "testbed", text)
    done = run(checkout / "scripts" / "quickstart", env=stubbed)
    assert done.returncode == 1
    assert "expected: refused" in done.stdout


def test_quickstart_hands_on_the_code_of_up(checkout: Path, stubbed: dict[str, str]) -> None:
    executable(checkout / ".venv" / "bin" / "testbed", "#!/bin/sh\nexit 3\n")
    assert run(checkout / "scripts" / "quickstart", env=stubbed).returncode == 3


# -- scripts/test -----------------------------------------------------------------------------


def stub_tools(checkout: Path, **codes: int) -> None:
    for tool in ("ruff", "mypy", "python"):
        path = checkout / ".venv" / "bin" / tool
        path.unlink(missing_ok=True)
        executable(path, f'#!/bin/sh\necho "{tool} $*"\nexit {codes.get(tool, 0)}\n')


def test_everything_runs_and_pytest_comes_last(checkout: Path, stubbed: dict[str, str]) -> None:
    stub_tools(checkout)
    done = run(checkout / "scripts" / "test", "tests/unit", "-k", "a or b", env=stubbed)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "setup"
    assert {"ruff check .", "ruff format --check ."} <= set(lines)
    assert lines[-1].startswith("python -m pytest")
    assert lines[-1].endswith("tests/unit -k a or b")


@pytest.mark.parametrize(
    ("codes", "expected"),
    [({"mypy": 2, "python": 1}, 2), ({"python": 5}, 5), ({"ruff": 4, "mypy": 2}, 4)],
)
def test_the_first_failure_is_the_exit_code(
    checkout: Path, stubbed: dict[str, str], codes: dict[str, int], expected: int
) -> None:
    stub_tools(checkout, **codes)
    done = run(checkout / "scripts" / "test", env=stubbed)
    assert done.returncode == expected
    assert ("mypy testbed" in done.stderr.splitlines()) == ("mypy" in codes)
    assert done.stdout.splitlines()[-1].startswith("python -m pytest")


def test_a_thorough_run_is_asked_for(checkout: Path, stubbed: dict[str, str]) -> None:
    stub_tools(checkout)
    said = '#!/bin/sh\necho "thorough: $TESTBED_THOROUGH, $*"\n'
    executable(checkout / ".venv" / "bin" / "python", said)
    done = run(checkout / "scripts" / "test", "--thorough", "tests/unit", env=stubbed)
    assert done.stdout.splitlines()[-1] == "thorough: 1, -m pytest tests/unit"
