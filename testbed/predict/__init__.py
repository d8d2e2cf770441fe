"""AWS's rules of who reaches whom, as a model of its own.

It follows one packet, and its answer, through security groups, network ACLs,
VPC route tables, peering connections, internet gateways, the service link,
local gateways and the customer's network. It knows nothing of Linux and
shares no code with what builds the testbed, so that one can be checked
against the other. Sources of the rules: VPC user guide, Outposts user guide
(docs/fidelity.md).
"""

from testbed.predict.endpoints import Endpoint, Machine
from testbed.predict.packet import Dropped, Journey, NotPredicted, Packet, Verdict, WayKind
from testbed.predict.world import World

__all__ = [
    "Dropped",
    "Endpoint",
    "Journey",
    "Machine",
    "NotPredicted",
    "Packet",
    "Verdict",
    "WayKind",
    "World",
]
