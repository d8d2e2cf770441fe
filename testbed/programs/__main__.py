"""Runs a program in an interpreter of its own: ``python -I -S __main__.py NAME ARGUMENT…``."""

import sys
from importlib import import_module

sys.path.insert(0, __file__.removesuffix("/testbed/programs/__main__.py"))
name, *arguments = sys.argv[1:]
import_module(import_module("testbed.programs").PROGRAMS[name]).main(arguments)
