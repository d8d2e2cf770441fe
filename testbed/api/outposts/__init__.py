"""The service AWS Outposts: sites, Outposts, what they have, and connections."""

from testbed.api.outposts import assets, capacity, connections, outposts

__all__ = ["assets", "capacity", "connections", "outposts"]
