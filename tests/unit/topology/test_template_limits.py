"""Templates that ask for more memory or time than there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from testbed.errors import TopologyError
from testbed.topology.file import limited
from testbed.topology.file.load import loads

DOUBLING = "{% set n = namespace(t='xxxxxxxx') %}{% for i in range(60) %}{% set n.t = WHAT %}"

GREEDY = {
    "doubling": DOUBLING.replace("WHAT", "n.t ~ n.t") + "{% endfor %}{{ n.t | length }}",
    "joined": DOUBLING.replace("WHAT", "[n.t, n.t] | join") + "{% endfor %}{{ n.t | length }}",
    "replaced": DOUBLING.replace("WHAT", "n.t | replace('x', 'xx')") + "{% endfor %}",
    "centred": "{{ 'a' | center(999999999) | length }}",
    "method": "{{ 'a'.center(999999999) | length }}",
    "filled": "{{ 'a'.zfill(999999999) | length }}",
    "tabs": "{{ ('\\t' ~ 'a').expandtabs(999999999) | length }}",
    "format": "{{ ('%999999999d' | format(1)) | length }}",
    "bytes": "{{ '{:999999999}'.format(1) | length }}",
    "powers": "{{ ((((9 ** 64) ** 64) ** 64) ** 64) % 7 }}",
    "slices": "{{ range(3) | slice(99999999) | list | length }}",
    "batches": "{{ range(3) | batch(999999999, 0) | list | length }}",
    "loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "indented": "{{ 'a' | indent(999999999, true) | length }}",
    "wrapped": "{{ ('a b ' ~ 'c').ljust(999999999) | wordwrap(1) | length }}",
}


@pytest.mark.parametrize("text", GREEDY.values(), ids=GREEDY.keys())
def test_a_greedy_template_is_stopped(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limited, "PROCESSOR_S", 1)
    with pytest.raises(TopologyError) as raised:
        loads(text, template=True)
    (problem,) = raised.value.problems
    assert re.search("template", problem.message)


def test_within_its_limits_it_is_as_large_as_a_topology(tmp_path: Path) -> None:
    """Nor does the child's copy of anything matter: the text comes back whole."""
    text = "# {{ 'é' }}\n{% for i in range(60000) %}# line {{ i }}\n{% endfor %}testbed: 2"
    with pytest.raises(TopologyError) as raised:
        loads(text, file=str(tmp_path / "t.yaml"), template=True)
    assert {problem.line for problem in raised.value.problems} >= {60002}


def test_a_mistake_keeps_its_line() -> None:
    with pytest.raises(TopologyError) as raised:
        loads("a: 1\nb: {{ missing }}\n", template=True)
    assert [problem.line for problem in raised.value.problems] == [2]
    assert "--set" in str(raised.value.problems[0].hint)
