"""The one process that reads and writes out a capture, whatever number of interfaces it has.

It runs inside the testbed, maybe in an emulated guest: standard library only.
"""
