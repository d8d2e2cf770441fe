"""Conformance suites: whether an installation does what AWS and its own file say it does.

One file a subject (`test_lag.py`, `test_bgp.py`, …), each a set of checks that
are derived from what the topology declares, so that a user's own site is
checked without writing a test. `testbed check` runs them for people, plain
pytest for programs: ``pytest --pyargs testbed.conformance --testbed NAME``.
docs/conformance.md lists them and says how to write one.
"""
