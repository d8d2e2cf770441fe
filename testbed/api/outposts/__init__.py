"""The service AWS Outposts: sites, Outposts, what they have, and connections."""

from testbed.api.outposts import assets, outposts

__all__ = ["assets", "outposts"]
