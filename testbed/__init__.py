"""Packet-level network emulation testbed for AWS Outposts."""

__version__ = "0.1.0"
