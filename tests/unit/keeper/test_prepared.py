"""Python programs of nodes, forked from the interpreter that is prepared for them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from testbed import programs
from testbed.keeper import prepared

# As the keeper, which processes without a parent belong to (PR_SET_CHILD_SUBREAPER).
HARNESS = """
import ctypes, json, os, signal, sys
from testbed.keeper.prepared import Prepared
from testbed.programs import PROGRAMS
PROGRAMS["test-python"] = "tests.unit.keeper.evaluating"
assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0
made = Prepared()

def run(*argv, keep=(), env={"A": "b"}, cwd=None, given=b""):
    "What a program writes, and how it ends."
    inward, outward, said = os.memfd_create("in"), os.memfd_create("out"), os.memfd_create("err")
    os.write(inward, given)
    os.lseek(inward, 0, 0)
    pid = made.start(argv, env, stdio=(inward, outward, said), namespaces=(), keep=keep, cwd=cwd)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code, os.pread(outward, 10000, 0).decode(), os.pread(said, 10000, 0).decode()

print(json.dumps(eval(sys.argv[1])))
"""
GROUP = "import os; print(os.getpgrp() == os.getpid(), os.getsid(0) != os.getppid())"
INHERITED = (
    "import os, sys; print(sorted(os.environ), os.getcwd(), sys.argv[1:], "
    "sys.stdin.read(), [n for n in range(99) if os.path.exists(f'/proc/self/fd/{n}')])"
)


def evaluated(expression: str) -> Any:
    """What an expression is worth in the harness."""
    done = subprocess.run(
        [sys.executable, "-c", HARNESS, expression],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=Path(__file__).parents[3],
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("pass", 0, ""),
        ("raise SystemExit(3)", 3, ""),
        ("raise SystemExit('why')", 1, "why\n"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -15, ""),
    ],
)
def test_it_ends_as_an_interpreter_would(code: str, status: int, error: str) -> None:
    assert evaluated(f"run('test-python', {code!r})") == [status, "", error]


def test_an_error_is_told() -> None:
    status, _, said = evaluated("run('test-python', 'print(1 / 0)')")
    assert status == 1
    assert said.endswith("ZeroDivisionError: division by zero\n")


def test_it_leads_a_group_of_its_own() -> None:
    assert evaluated(f"run('test-python', {GROUP!r})") == [0, "True True\n", ""]


def test_it_has_what_it_was_given_and_nothing_else() -> None:
    run = f"run('test-python', {INHERITED!r}, 'x', cwd='/tmp', given=b'said', keep=(KEEP,))"
    expression = run.replace("KEEP", "os.dup2(os.memfd_create('kept'), 77)")
    said = "['A'] /tmp ['x'] said [0, 1, 2, 77]\n"
    assert evaluated(expression) == [0, said, ""]


def test_one_that_was_killed_is_replaced() -> None:
    """A user's `pkill python` in a node does not end what others need."""
    expression = (
        "[run('test-python', 'print(1)'),"
        " made._control.shutdown(2),"
        " made.start(('test-python', ''), {}, stdio=(0, 1, 2),"
        "            namespaces=(), keep=(), cwd=None),"
        " run('test-python', 'print(2)')]"
    )
    before, _, between, after = evaluated(expression)
    assert (before, after) == ([0, "1\n", ""], [0, "2\n", ""])
    assert between is None  # the caller starts an interpreter instead


def test_what_is_too_long_is_left_to_an_interpreter() -> None:
    long = "made.start(('test-python', 'x' * 200000), {}, stdio=(0, 1, 2), namespaces=(), "
    assert evaluated(f"{long}keep=(), cwd=None)") is None


def test_each_can_be_started_as_an_interpreter_too() -> None:
    words = prepared.words(["testbed-questions"])
    task = {"server": "127.0.0.1", "seconds": 0, "questions": ["00"]}
    done = subprocess.run(words, input=json.dumps(task).encode(), capture_output=True, check=True)
    assert json.loads(done.stdout) == [None]


def test_every_module_that_can_be_run_has_a_name_and_says_it() -> None:
    """The table has each module of programs/ with a `main`; its docstring begins with the name."""
    folder = Path(programs.__file__).parent
    modules = {}
    for path in folder.rglob("[!_]*.py"):
        if "\ndef main(" in path.read_text():
            name = ".".join(("testbed", "programs", *path.relative_to(folder).parts))
            modules[name.removesuffix(".py")] = path.read_text()
    assert set(modules) == set(programs.PROGRAMS.values())
    for name, module in programs.PROGRAMS.items():
        assert modules[module].startswith(f'"""`{name}')


def test_a_program_says_why_it_can_not_send() -> None:
    words = prepared.words(["testbed-send", "none", "frames"])
    done = subprocess.run(words, input=b"00", capture_output=True, check=False)
    assert done.returncode == 1
    assert done.stderr in {b"No such device\n", b"Operation not permitted\n"}  # without root
