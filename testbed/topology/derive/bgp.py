"""BGP settings of customer devices, out of the file's form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from testbed.plan.bgp import Bfd, Policy, Term
from testbed.topology.model.bgp import BgpSettings, DeviceBgp
from testbed.topology.schema.bgp import BgpForm, BgpSessionForm, RouteRuleForm


def derive_bgp(form: BgpForm) -> DeviceBgp:
    """Return a device's settings."""
    sessions = {name: _settings(entry) for name, entry in form.sessions.items()}
    return DeviceBgp(_settings(form), sessions, form.restart_time)


def _settings(form: BgpSessionForm) -> BgpSettings:
    given: dict[str, Any] = {name: getattr(form, name) for name in BgpSessionForm.model_fields}
    given["bfd"] = Bfd(form.bfd.interval, form.bfd.multiplier) if form.bfd else None
    for way in ("inbound", "outbound"):
        given[way] = _policy(given[way]) if given[way] is not None else None
    return BgpSettings(**given)


def _policy(rules: Sequence[RouteRuleForm]) -> Policy:
    return tuple(
        Term(
            prefixes=tuple(rule.prefixes or ()),
            communities=tuple(rule.communities),
            action="accept" if rule.action == "permit" else "reject",
            prepend=rule.prepend,
            preference=rule.local_preference,
            med=rule.med,
            add_communities=tuple(rule.add_communities),
        )
        for rule in rules
    )
