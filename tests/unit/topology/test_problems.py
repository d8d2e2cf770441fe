"""Every error text of the topology loader, pinned by a golden file.

`problems/NAME.yaml` is a broken topology and `problems/NAME.txt` what the
user is told. `GOLDEN=write pytest tests/unit/topology` writes the latter anew:
read the difference before you commit it.
"""

import os
from pathlib import Path

import pytest

from testbed.errors import TopologyError
from testbed.topology import loads

PROBLEMS = Path(__file__).parent / "problems"
CASES = sorted(path.stem for path in PROBLEMS.glob("*.yaml"))


@pytest.mark.parametrize("case", CASES)
def test_error_text(case: str) -> None:
    text = (PROBLEMS / f"{case}.yaml").read_text()
    golden = PROBLEMS / f"{case}.txt"
    with pytest.raises(TopologyError) as caught:
        loads(text, file=f"{case}.yaml")
    if os.environ.get("GOLDEN") == "write":
        golden.write_text(f"{caught.value}\n")
    assert f"{caught.value}\n" == golden.read_text()


def test_every_golden_file_has_its_case() -> None:
    assert sorted(path.stem for path in PROBLEMS.glob("*.txt")) == CASES
