"""Changing sessions of a BGP router that is data."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from testbed.errors import UsageError
from testbed.plan.bgp import EVERYTHING, PrefixRange, Term

if TYPE_CHECKING:
    from testbed.plan.bgp import Instance, Router, Session

WORSE_PREFERENCE = 50  # less than BGP's default of 100


class RouterData:
    """A router; sessions are known by their neighbour's IPv4 address."""

    def __init__(self, router: Router) -> None:
        self.router = router

    def neighbors(self) -> list[str]:
        """The neighbours of all sessions."""
        return [session.neighbor for i in self.router.instances for session in i.sessions]

    def _find(self, neighbor: str) -> tuple[Instance, Session]:
        for instance in self.router.instances:
            for session in instance.sessions:
                if session.neighbor == neighbor:
                    return instance, session
        raise UsageError(f"no session with {neighbor}")

    def _replace(self, old: Instance, new: Instance) -> None:
        instances = tuple(new if each is old else each for each in self.router.instances)
        self.router = replace(self.router, instances=instances)

    def set(self, neighbor: str, **members: Any) -> None:
        """Change members of a session."""
        instance, session = self._find(neighbor)
        changed = replace(session, **members)
        sessions = tuple(changed if each is session else each for each in instance.sessions)
        self._replace(instance, replace(instance, sessions=sessions))

    def asns(self, neighbor: str) -> tuple[int, int]:
        """The own and the neighbour's AS on a session."""
        instance, session = self._find(neighbor)
        return session.local_asn or instance.asn, session.remote_asn

    def set_remote_asn(self, neighbor: str, asn: int) -> None:
        """Expect another AS of the neighbour."""
        self.set(neighbor, remote_asn=asn)

    def set_local_asn(self, neighbor: str, asn: int) -> None:
        """Be another AS towards the neighbour."""
        own, remote = self.asns(neighbor)
        if own == remote and self.router.daemon == "frr":
            text = f"the session with {neighbor} is iBGP: FRR has no local-as there"
            raise UsageError(text, hint="use --side remote")
        self.set(neighbor, local_asn=asn)

    def _export_first(self, neighbor: str, term: Term) -> None:
        """Have a term decide before what the session's export policy has."""
        _, session = self._find(neighbor)
        policy = EVERYTHING if session.exports is None else session.exports
        self.set(neighbor, exports=(term, *policy))

    def withdraw(self, neighbor: str, prefix: str) -> None:
        """Announce the prefix (empty: anything) no longer."""
        prefixes = (PrefixRange(prefix),) if prefix else ()
        self._export_first(neighbor, Term(prefixes, action="reject"))

    def announce(self, neighbor: str, prefix: str) -> None:
        """Announce the prefix, by a route that leads nowhere where there is no other."""
        instance, session = self._find(neighbor)
        if prefix not in instance.fallbacks:
            fallbacks = (*instance.fallbacks, prefix)
            self._replace(instance, replace(instance, fallbacks=fallbacks))
        if session.exports is not None:
            self._export_first(neighbor, Term((PrefixRange(prefix),)))

    def prepend(self, neighbor: str, times: int) -> None:
        """Announce everything as a worse choice: with the own AS more often in its path.

        Inside the own AS, where that would be a loop, with a lower local preference.
        """
        own, remote = self.asns(neighbor)
        worse = Term(action="continue", prepend=times)
        if own == remote:
            worse = Term(action="continue", preference=WORSE_PREFERENCE)
        self._export_first(neighbor, worse)

    def sign(self, neighbor: str, key: str) -> None:
        """Sign the session's segments with a key."""
        self.set(neighbor, password=key)

    def limit(self, neighbor: str, number: int) -> None:
        """Take the session down when more prefixes come."""
        self.set(neighbor, limit=number)

    def without_bfd(self, neighbor: str) -> None:
        """Take BFD off the session."""
        _, session = self._find(neighbor)
        if session.bfd is None:
            raise UsageError(f"the session with {neighbor} has no BFD")
        self.set(neighbor, bfd=None)
