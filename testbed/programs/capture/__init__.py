"""The one process that reads and writes out a capture, whatever number of interfaces it has."""
