"""AWS's rules of who reaches whom, as a model of its own.

It follows one packet, and its answer, through security groups, network ACLs,
VPC route tables, peering connections, internet gateways, the service link,
local gateways and the customer's network. It knows nothing of Linux and
shares no code with what builds the testbed, so that one can be checked
against the other. Sources of the rules: VPC user guide, Outposts user guide
(docs/fidelity.md).
"""

from testbed.predict.packet import Dropped, NotPredicted, Packet, Verdict
from testbed.predict.world import Endpoint, Machine, World

__all__ = [
    "Dropped",
    "Endpoint",
    "Machine",
    "NotPredicted",
    "Packet",
    "Verdict",
    "World",
]
