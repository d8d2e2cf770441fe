"""Faults: what may go wrong in a testbed on purpose, as changes of its plan (docs/faults.md)."""
