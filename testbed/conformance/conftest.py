"""Makes pytest run the suites of this folder (see `testbed.conformance.collecting`)."""

from testbed.conformance.collecting import (
    judgeable,
    measure,
    pytest_collection_modifyitems,
    pytest_generate_tests,
    pytest_runtest_makereport,
    site,
    undone,
)

__all__ = [
    "judgeable",
    "measure",
    "pytest_collection_modifyitems",
    "pytest_generate_tests",
    "pytest_runtest_makereport",
    "site",
    "undone",
]
