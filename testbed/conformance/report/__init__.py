"""What a run of the conformance suites leaves: tables, HTML, JUnit, progress."""
