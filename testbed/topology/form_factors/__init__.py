"""The form factors of Outposts: data, and one small module for each."""

from __future__ import annotations

from testbed.topology.form_factors import (
    ace,
    first_generation,
    second_generation,
    single_rack,
)
from testbed.topology.form_factors.base import FormFactor
from testbed.topology.form_factors.server import SERVERS, ServerFormFactor

__all__ = ["RACKS", "SERVERS", "FormFactor", "ServerFormFactor"]

RACKS: dict[str, FormFactor] = {
    module.FORM_FACTOR.name: module.FORM_FACTOR
    for module in (first_generation, ace, second_generation, single_rack)
}
"""Those of racks, by the topology file's word."""
