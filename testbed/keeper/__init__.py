"""The keeper: the process that holds a running testbed."""
