"""The installation in AWS's words: loading, deriving and checking topology files."""

from testbed.topology.file.load import load, loads
from testbed.topology.model import Topology
from testbed.topology.schema import json_schema

__all__ = ["Topology", "json_schema", "load", "loads"]
