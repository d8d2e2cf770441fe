"""The service link's management channel: the rack's agent and the Region's collector.

The agent connects over TCP to port 443, from the rack's
infrastructure subnet, tells that it lives, and sends the metrics of each
period under their CloudWatch names (facts: M1 to M4). What it cannot send it keeps,
up to seven days, and delivers later with the times that it was measured at
(facts: H3). The collector keeps what came, says by ConnectedStatus whether
each Outpost is connected, and answers scrapes in Prometheus' text format.

The protocol is the testbed's own: lines of JSON, without TLS.
"""
