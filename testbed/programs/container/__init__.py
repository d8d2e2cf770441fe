"""A process with a root file system of its own, run by crun.

`images` fetches and unpacks what it is made of, `bundle` says to crun what it is
(the OCI runtime specification), `program` makes its root and becomes crun.
"""
