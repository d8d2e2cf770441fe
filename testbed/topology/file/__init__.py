"""Topology files: templates, YAML with positions, references, and reports of what is wrong."""
