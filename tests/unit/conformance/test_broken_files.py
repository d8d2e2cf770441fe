"""The broken sites: each says what is wrong in it and what is diagnosed, and docs list them."""

from __future__ import annotations

from pathlib import Path

import pytest
from broken_sites import BEGIN, END, SITES, BrokenSite, table

from testbed.conformance.runner import all_checks
from testbed.lifecycle.installation import load_topology, lower_topology

CHECKS = all_checks()
PAGE = Path(__file__).parents[3] / "docs" / "broken.md"


@pytest.mark.parametrize("site", SITES, ids=[site.name for site in SITES])
def test_it_can_be_built_and_its_diagnosis_is_a_checks(site: BrokenSite) -> None:
    topology = load_topology(site.file, {})
    assert topology.name == site.name
    assert lower_topology(topology).nodes
    assert site.check in CHECKS
    assert site.subject
    assert site.cause.endswith(".")


def test_the_docs_list_all_of_them() -> None:
    listed = PAGE.read_text().partition(BEGIN)[2].partition(END)[0]
    assert listed == table(), f"the table of {PAGE.name} should be:\n{table()}"
