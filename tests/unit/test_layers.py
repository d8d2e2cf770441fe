"""Imports go one way, and only the places that are meant to touch the system do.

Everything is read from the source with `ast`; nothing is imported.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "testbed"

# Lowest first. A layer may import itself, the package's version, and what is named here.
MAY_IMPORT: dict[str, set[str]] = {
    "testbed": set(),
    "errors": set(),
    "quantities": set(),
    "programs": set(),  # what runs inside nodes
    "plan.json_diff": {"errors"},  # of any JSON, documents' as well
    "plan.bgp": set(),  # policies, in the words of both AWS's customers and of daemons
    "topology.ids": set(),
    "topology.numbers": set(),  # claimed by lower, too
    "topology.model": {"errors", "plan.bgp", "topology.numbers"},
    "plan": {"plan.json_diff", "plan.bgp", "errors"},
    "faults": {"errors", "quantities", "plan.bgp", "plan"},
    # A declared fault's form is made from the registry of the kinds.
    "topology": {
        "plan.json_diff",
        "plan.bgp",
        "errors",
        "quantities",
        "topology.model",
        "topology.ids",
        "topology.numbers",
        "faults",
        "programs",  # which languages they understand
    },
    "predict": {"topology.model"},  # knows nothing of how the testbed is built
    "lower": {
        "errors",
        "plan.bgp",
        "topology.model",
        "topology.ids",
        "topology.numbers",
        "plan",
        "faults",
    },
    "kernel": {"errors", "plan"},
    "programs.launcher": {"programs", "kernel"},  # enters namespaces
    "programs.host": {"programs", "kernel"},  # enters namespaces
    "control.protocol": {"errors"},  # spoken at both ends
    "guest.gate": set(),  # known at both ends of virtual time
    "guest.channel": set(),  # spoken at both ends of the guest's port
    "guest.mux": {"guest.channel"},
    "keeper": {
        "plan.json_diff",
        "errors",
        "programs",
        "programs.launcher",
        "programs.host",
        "plan",
        "faults",
        "kernel",
        "control.protocol",
        "guest.gate",
        "guest.channel",
        "guest.mux",
    },
    "control": {"errors", "plan", "control.protocol"},
    "guest": {
        "errors",
        "plan",
        "kernel",
        "control.protocol",
        "guest.gate",
        "guest.channel",
        "guest.mux",
        "keeper",
        "control",
    },
    "lifecycle": {
        "plan.json_diff",
        "errors",
        "topology.model",
        "topology.numbers",
        "topology",
        "plan",
        "faults",
        "lower",
        "kernel",
        "control.protocol",
        "control",
        "guest",
    },
    "importing": {"errors"},  # facts from switches' configurations; hier_config reads them
    "probes": {
        "errors",
        "quantities",
        "programs",
        "predict",
        "plan",
        "faults",
        "control.protocol",
        "control",
    },
    "render": {
        "errors",
        "topology.model",
        "topology",
        "plan",
        "faults",
        "control.protocol",
        "control",
        "probes",
    },
    "testing": {
        "errors",
        "topology.model",
        "topology",
        "plan",
        "kernel",
        "control.protocol",
        "control",
        "lifecycle",
        "probes",
    },
    "conformance": {
        "errors",
        "programs",
        "topology.model",
        "predict",
        "plan",
        "lower",
        "control",
        "lifecycle",
        "probes",
        "render",
        "testing",
    },
    "api": {
        "errors",
        "programs",
        "topology.model",
        "topology.ids",
        "topology.numbers",
        "topology",
        "plan",
        "lower",
        "control.protocol",
        "control",
        "lifecycle",
    },
    "chaos": {
        "errors",
        "topology.model",
        "plan",
        "faults",
        "lower",
        "render",
        "testing",
        "conformance",
    },
    "outage": {
        "errors",
        "topology.model",
        "control",
        "api",
        "programs",
        "predict",
        "render",
        "testing",
        "conformance",
    },
}
# What those who look at a testbed may rely on of how it was built.
OF_THE_LOWERING = {"lower", "lower.names", "lower.rack.inner"}
LONGEST_MODULE, LONGEST_FUNCTION = 400, 50  # lines
TOP = {"cli", "pytest_plugin"}  # may import everything but each other
# Modules that are one layer with another.
PART_OF = {"__main__": "cli"}
# What is imported often, or in an emulated guest where every import costs ten times as much.
STANDARD_LIBRARY_ONLY = {
    "errors",
    "quantities",
    "programs",
    "plan",
    "plan.bgp",
    "plan.json_diff",
    "faults",
    "kernel",
    "control.protocol",
    "control",
    "keeper",
    "guest",
}
STANDARD_LIBRARY_MODULES = {"lifecycle.start", "lifecycle.finding"}
NETLINK = {"kernel"}
NETLINK_EXCEPTIONS = {
    "programs.carrier": "hears that a port has lost its carrier",
    "programs.dhcp_client": "hears that a link has come back",
}
PROCESSES = {
    "kernel": "loads modules before it probes for features",
    "keeper": "is the parent of every daemon and of what `exec` runs",
    "programs.launcher": "forks the testbed's own programs for the keeper",
    "guest": "starts QEMU and what serves it the host's files",
}
PROCESS_EXCEPTIONS = {
    "programs.dhcp_client": "runs the machine's DHCP client",
    "programs.container.images": "has umoci and skopeo fetch and unpack images",
    "programs.container.program": "becomes crun",
    "programs.ecs_agent.runtime": "is the parent of a container instance's containers",
    "programs.users": "runs what users run",
    "lifecycle.start": "starts the keeper or the relay of a micro VM",
    "lifecycle.api_process": "serves AWS's API beside a testbed",
    "lifecycle.device_configs": "has BIRD or FRR parse a device's own configuration",
    "topology.file.limited": "renders templates in a child that may not take much",
    "render.dot": "pipes a drawing through graphviz's `dot`",
    "render.wireshark": "shows a capture while it is made",
}
STARTERS = {"posix_spawn", "posix_spawnp", "fork", "forkpty", "popen", "system"}


@dataclass(frozen=True)
class Import:
    """An import of `target` (without the leading ``testbed.``, if it is ours) in a module."""

    target: str
    ours: bool
    line: int
    at_start: bool  # run when the module is imported


def modules() -> dict[str, ast.Module]:
    """The package's modules, named without the leading ``testbed.``."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name or "testbed"] = ast.parse(path.read_text(), str(path))
    return found


MODULES = modules()


def layer_of(module: str) -> str:
    """The layer that a module belongs to: the longest name in MAY_IMPORT, else its package's."""
    parts = module.split(".")
    for end in range(len(parts), 0, -1):
        if (name := ".".join(parts[:end])) in MAY_IMPORT:
            return name
    return PART_OF.get(parts[0], parts[0])


def imports_of(tree: ast.Module) -> list[Import]:
    """All imports of a module but those for type checkers only, functions' included."""
    found: list[Import] = []
    visit(tree.body, found, at_start=True)
    return found


def visit(body: list[ast.stmt], found: list[Import], *, at_start: bool) -> None:
    for statement in body:
        match statement:
            case ast.Import(names=names):
                line = statement.lineno
                found += [imported(alias.name, line, at_start=at_start) for alias in names]
            case ast.ImportFrom(module=module, names=names, level=level):
                assert level == 0, f"line {statement.lineno}: relative import"
                for alias in names:
                    full = f"{module}.{alias.name}"
                    name = full if full.removeprefix("testbed.") in MODULES else str(module)
                    found.append(imported(name, statement.lineno, at_start=at_start))
            case ast.If(test=ast.Name(id="TYPE_CHECKING"), orelse=orelse):
                visit(orelse, found, at_start=at_start)
            case _:
                inside = isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef)
                for block in ("body", "orelse", "finalbody"):
                    visit(getattr(statement, block, []), found, at_start=at_start and not inside)
                for handler in getattr(statement, "handlers", []):
                    visit(handler.body, found, at_start=at_start)
                for case in getattr(statement, "cases", []):
                    visit(case.body, found, at_start=at_start)


def imported(name: str, line: int, *, at_start: bool) -> Import:
    ours = name == "testbed" or name.startswith("testbed.")
    return Import(name.removeprefix("testbed.") if ours else name, ours, line, at_start)


def called(tree: ast.Module) -> list[tuple[str, str, ast.Call]]:
    """The calls of a module as (object, attribute, call); the object is "" for plain names."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute):
                owner = node.func.value.id if isinstance(node.func.value, ast.Name) else "?"
                found.append((owner, node.func.attr, node))
            elif isinstance(node.func, ast.Name):
                found.append(("", node.func.id, node))
    return found


def starts_processes(tree: ast.Module) -> set[str]:
    """How a module starts processes, if it does."""
    ways = {i.target for i in imports_of(tree) if i.target in {"subprocess", "pty", "pexpect"}}
    for owner, name, _ in called(tree):
        if owner == "os" and (name in STARTERS or name.startswith(("exec", "spawn"))):
            ways.add(f"os.{name}")
        if name in {"create_subprocess_exec", "create_subprocess_shell"}:
            ways.add(name)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            ways |= {f"os.{alias.name}" for alias in node.names if alias.name in STARTERS}
    return ways


def violations(name: str, tree: ast.Module) -> list[str]:
    """The imports of a module that its layer may not have."""
    layer = layer_of(name)
    allowed = {*MAY_IMPORT, layer} if layer in TOP else {*MAY_IMPORT[layer], layer, "testbed"}
    return [
        f"testbed.{name}, line {i.line}: {layer} imports {i.target}"
        for i in imports_of(tree)
        if i.ours and layer_of(i.target) not in allowed
    ]


@pytest.mark.parametrize("name", MODULES)
def test_every_module_has_a_layer(name: str) -> None:
    assert layer_of(name) in {*MAY_IMPORT, *TOP}, "say in this file what it may import"


def test_the_layers_are_in_order() -> None:
    below: set[str] = set()
    for layer, allowed in MAY_IMPORT.items():
        assert allowed <= below, f"{layer} would import upwards"
        below.add(layer)


@pytest.mark.parametrize("name", MODULES)
def test_imports_go_down_only(name: str) -> None:
    assert not violations(name, MODULES[name])


@pytest.mark.parametrize("name", [m for m in MODULES if layer_of(m) in {"conformance", "chaos"}])
def test_checks_rely_on_names_and_addresses_of_the_lowering_only(name: str) -> None:
    found = {i.target for i in imports_of(MODULES[name]) if layer_of(i.target) == "lower"}
    assert found <= OF_THE_LOWERING


@pytest.mark.parametrize("name", MODULES)
def test_modules_and_functions_can_be_read_at_a_glance(name: str) -> None:
    """Up to 400 lines and 50 lines; what is longer has parts with names of their own."""
    tree = MODULES[name]
    last = max((node.end_lineno or 0 for node in tree.body), default=0)
    assert last <= LONGEST_MODULE
    functions = (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    assert not [f.name for f in functions if (f.end_lineno or 0) - f.lineno >= LONGEST_FUNCTION]


def circle(trees: Mapping[str, ast.Module]) -> list[str]:
    """Modules that import each other in a circle, the first once more at the end."""
    graph = {
        name: {i.target for i in imports_of(tree) if i.ours and i.target != name}
        for name, tree in trees.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_modules_import_each_other() -> None:
    assert not circle(MODULES)


def test_a_circle_is_found() -> None:
    sources = {
        "plan.a": "import testbed.plan.b",
        "plan.b": "class C:\n    def f(self):\n        from testbed.plan.c import x",
        "plan.c": "from testbed.plan.a import y",
    }
    trees = {name: ast.parse(source) for name, source in sources.items()}
    assert len(set(circle(trees))) == 3
    sources["plan.c"] = (
        f"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    {sources['plan.c']}"
    )
    assert not circle(trees | {"plan.c": ast.parse(sources["plan.c"])})


@pytest.mark.parametrize(
    "name",
    [m for m in MODULES if m in STANDARD_LIBRARY_MODULES or layer_of(m) in STANDARD_LIBRARY_ONLY],
)
def test_what_runs_in_a_guest_imports_the_standard_library_only(name: str) -> None:
    foreign = [
        f"line {i.line}: {i.target}"
        for i in imports_of(MODULES[name])
        if not i.ours and i.at_start and i.target.split(".")[0] not in sys.stdlib_module_names
    ]
    assert not foreign


@pytest.mark.parametrize(
    "name", [m for m in MODULES if layer_of(m) not in NETLINK and m not in NETLINK_EXCEPTIONS]
)
def test_only_the_kernel_layer_speaks_netlink(name: str) -> None:
    tree = MODULES[name]
    assert not [i for i in imports_of(tree) if i.target.split(".")[0] == "pyroute2"]
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    names = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert "AF_NETLINK" not in attributes | names


@pytest.mark.parametrize(
    "name", [m for m in MODULES if layer_of(m) not in PROCESSES and m not in PROCESS_EXCEPTIONS]
)
def test_only_the_named_places_start_processes(name: str) -> None:
    assert not starts_processes(MODULES[name])


@pytest.mark.parametrize("name", MODULES)
def test_nothing_passes_through_a_shell(name: str) -> None:
    for owner, attribute, call in called(MODULES[name]):
        assert not (owner == "os" and attribute in {"system", "popen"}), f"line {call.lineno}"
        assert attribute not in {"getoutput", "getstatusoutput", "create_subprocess_shell"}
        for keyword in call.keywords:
            constant = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
            assert keyword.arg != "shell" or constant, f"line {call.lineno}: shell="


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("plan.x", "from testbed.kernel import apply"),
        ("plan.x", "def f():\n    import testbed.lower.vpc"),
        ("topology.model", "from testbed.topology import load"),
        ("lower.x", "from testbed.topology.load import load"),
        ("kernel.x", "try:\n    import os\nexcept OSError:\n    from testbed import keeper"),
        ("cli.x", "import testbed.pytest_plugin"),
    ],
)
def test_an_import_upwards_is_found(module: str, source: str) -> None:
    assert violations(module, ast.parse(source))


@pytest.mark.parametrize(
    "source",
    [
        "import subprocess",
        "from subprocess import run",
        "import os\ndef f():\n    os.posix_spawn('x', [], {})",
        "import os\nos.execvp('x', ['x'])",
        "from os import fork",
    ],
)
def test_a_started_process_is_found(source: str) -> None:
    assert starts_processes(ast.parse(source))


def test_what_is_for_type_checkers_only_does_not_count() -> None:
    source = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import testbed.keeper"
    assert not violations("plan.x", ast.parse(source))
