"""Driving a testbed from tests: the handles that the pytest fixture `testbed` gives.

They work without pytest, too: `Testbed.up("rack.yaml")` in any program.
"""

from testbed.testing.node import Node
from testbed.testing.polling import eventually
from testbed.testing.testbed import Testbed, plan_of

__all__ = ["Node", "Testbed", "eventually", "plan_of"]
