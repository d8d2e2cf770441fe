"""Drive a testbed from tests: the handles that the pytest fixture `testbed` gives.

They work without pytest, too: `Testbed.up("rack.yaml")` in any program.
"""

from testbed.testing.node import InterfaceState, Node
from testbed.testing.places import Link, Outpost
from testbed.testing.polling import eventually
from testbed.testing.states import Counters, Lag, LagMember, NftCounter, Tunnel
from testbed.testing.testbed import Testbed
from testbed.testing.users import Usage, User, Users

__all__ = [
    "Counters",
    "InterfaceState",
    "Lag",
    "LagMember",
    "Link",
    "NftCounter",
    "Node",
    "Outpost",
    "Testbed",
    "Tunnel",
    "Usage",
    "User",
    "Users",
    "eventually",
]
