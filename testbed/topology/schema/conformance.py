"""What the conformance suites hold the installation to, as the topology file has it."""

from __future__ import annotations

from pydantic import Field

from testbed.topology.schema.base import Form
from testbed.topology.values import Delay, Rate


class FailoverForm(Form):
    """The longest outage of a flow, by what fails."""

    link: Delay | None = Field(None, description="One cable of a LAG. Default: 1s.")
    lag: Delay | None = Field(None, description="All cables of a LAG. Default: 2s.")
    device: Delay | None = Field(
        None, description="A networking device, customer device or firewall. Default: 5s."
    )
    tunnel: Delay | None = Field(
        None, description="A service link's tunnel that fails silently. Default: 5s."
    )
    session: Delay | None = Field(None, description="A BGP session. Default: 3s.")
    uplink: Delay | None = Field(None, description="A link to the Region. Default: 3s.")


class ConformanceForm(Form):
    """Limits for what testbed check measures."""

    failover: FailoverForm = Field(
        FailoverForm(), description="The longest outage of a flow, by kind of failure."
    )
    rtt: Delay | None = Field(
        None, description="The longest round trip over the service link. Default: 175ms."
    )
    bandwidth: Rate | None = Field(
        None, description="The minimum bandwidth of the service link. Default: 500M."
    )
