"""A DNS query from a node, to the resolver that the node uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from testbed.errors import NetworkError, UsageError

if TYPE_CHECKING:
    import dns.message

    from testbed.control.client import Client

GRACE_S = 30.0  # for a slow guest to start Python
ATTEMPTS = 2  # as resolv.conf(5) has it


@dataclass(frozen=True, slots=True)
class DnsRecord:
    """A resource record of an answer; `data` as in a zone file, names with a final dot."""

    name: str
    type: str
    ttl_s: int
    data: str


@dataclass(frozen=True, slots=True)
class DnsAnswer:
    """What a server answered: `rcode` in IANA's words (``NOERROR``, ``NXDOMAIN``, …)."""

    name: str
    type: str
    server: str
    rcode: str
    records: tuple[DnsRecord, ...] = ()
    authoritative: bool = False

    @property
    def ok(self) -> bool:
        """Whether there is an answer to the question: a record of the type asked for."""
        return self.rcode == "NOERROR" and bool(self.data)

    @property
    def data(self) -> list[str]:
        """The data of the records of the type asked for; addresses, when that is A or AAAA."""
        return [record.data for record in self.records if record.type == self.type]


def resolve(
    client: Client,
    node: str,
    name: str,
    type: str = "A",  # noqa: A002 - DNS's word
    *,
    server: str | None = None,
    timeout_s: float = 3.0,
) -> DnsAnswer:
    """Ask for the records of `name`, which is complete: no search domain is added.

    The servers are those of the node's /etc/resolv.conf, or `server`, an
    address; each is asked twice. UsageError for what is no name or type,
    NetworkError when no server answers.
    """
    import dns.exception  # noqa: PLC0415
    import dns.message  # noqa: PLC0415

    try:
        query = dns.message.make_query(name, type.upper())
    except (dns.exception.DNSException, ValueError) as error:
        raise UsageError(f"cannot ask DNS for {name!r}, type {type!r}: {error}") from None
    argv = ["testbed-resolve", f"{timeout_s:g}", str(ATTEMPTS), *([server] if server else [])]
    done = client.run(node, argv, input=query.to_wire(), timeout=6 * ATTEMPTS * timeout_s + GRACE_S)
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip() or "no answer"
        raise NetworkError(f"{node} cannot resolve {name}: {reason}")
    asked, _, wire = done.stdout.partition(b"\n")
    try:
        answer = dns.message.from_wire(wire)
    except dns.exception.DNSException as error:
        raise NetworkError(f"{asked.decode()} sent {node} no valid DNS answer: {error}") from None
    return read(answer, name, type.upper(), asked.decode())


def read(answer: dns.message.Message, name: str, type: str, server: str) -> DnsAnswer:  # noqa: A002
    """An answer as it is handed out."""
    import dns.flags  # noqa: PLC0415
    import dns.rcode  # noqa: PLC0415
    import dns.rdatatype  # noqa: PLC0415

    records = tuple(
        DnsRecord(str(rows.name), dns.rdatatype.to_text(rows.rdtype), rows.ttl, row.to_text())
        for rows in answer.answer
        for row in rows
    )
    rcode = dns.rcode.to_text(answer.rcode())
    return DnsAnswer(name, type, server, rcode, records, bool(answer.flags & dns.flags.AA))
