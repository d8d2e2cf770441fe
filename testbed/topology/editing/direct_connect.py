"""Direct Connect: connections and their virtual interfaces."""

from __future__ import annotations

from testbed.topology.editing.keyed import Part, operations_on, operations_on_part
from testbed.topology.editing.kinds import DIRECT_CONNECT
from testbed.topology.editing.uses import of_connection

VERBS = ("create", "modify", "delete")

create_connection, modify_connection, delete_connection = operations_on(
    DIRECT_CONNECT, "connection", "connection", VERBS
)
(
    create_private_virtual_interface,
    modify_private_virtual_interface,
    delete_private_virtual_interface,
) = operations_on_part(
    "private_virtual_interface",
    Part("a private virtual interface", ("private_vif",), DIRECT_CONNECT, "connection"),
    VERBS,
)
(
    create_transit_virtual_interface,
    modify_transit_virtual_interface,
    delete_transit_virtual_interface,
) = operations_on_part(
    "transit_virtual_interface",
    Part(
        "a transit virtual interface",
        ("transit_vif",),
        DIRECT_CONNECT,
        "connection",
        uses=of_connection,
    ),
    VERBS,
)
(
    create_public_virtual_interface,
    modify_public_virtual_interface,
    delete_public_virtual_interface,
) = operations_on_part(
    "public_virtual_interface",
    Part("a public virtual interface", ("public_vif",), DIRECT_CONNECT, "connection"),
    VERBS,
)
