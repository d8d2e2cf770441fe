"""Makes pytest run the suites of this folder (see `testbed.conformance.collecting`)."""

from testbed.conformance.collecting import (
    measure,
    pytest_collection_modifyitems,
    pytest_generate_tests,
    pytest_runtest_makereport,
    pytest_runtest_setup,
    site,
    undone,
)

__all__ = [
    "measure",
    "pytest_collection_modifyitems",
    "pytest_generate_tests",
    "pytest_runtest_makereport",
    "pytest_runtest_setup",
    "site",
    "undone",
]
