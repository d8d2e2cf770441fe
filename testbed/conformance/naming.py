"""DNS questions from nodes, and what is answered."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scapy.layers.dns import DNS, DNSQR

from testbed.conformance.site import Site

ANSWER_S = 3.0
CODES = {0: "NOERROR", 2: "SERVFAIL", 3: "NXDOMAIN", 5: "REFUSED"}
Question = tuple[str, str]  # a name and a type ("A", "PTR")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: its response code ("NOERROR") and the values of the type that was asked for.

    Without any answer the code is empty.
    """

    code: str = ""
    values: frozenset[str] = frozenset()

    def __str__(self) -> str:
        if not self.code:
            return "no answer"
        return ", ".join(sorted(self.values)) or f"{self.code}, nothing of the kind"


def ask(
    site: Site, node: str, server: str, questions: Sequence[Question], seconds: float = ANSWER_S
) -> Mapping[Question, Reply]:
    """Ask a server all questions at once from a node."""
    messages = [
        bytes(DNS(id=number, rd=1, qd=DNSQR(qname=name, qtype=kind))).hex()
        for number, (name, kind) in enumerate(questions, start=1)
    ]
    task = {"server": server, "seconds": seconds, "questions": messages}
    done = site.testbed[node].run(["testbed-questions"], input=json.dumps(task).encode())
    rows = json.loads(done.text)
    replies = [_reply(row, kind) for row, (_, kind) in zip(rows, questions, strict=True)]
    return dict(zip(questions, replies, strict=True))


def _reply(row: str | None, kind: str) -> Reply:
    if row is None:
        return Reply()
    message = DNS(bytes.fromhex(row))
    number = DNSQR(qtype=kind).qtype
    values = {_text(r) for r in message.an or () if r.type == number}
    return Reply(CODES.get(message.rcode, str(message.rcode)), frozenset(values))


def _text(record: object) -> str:
    """The value of a record as a file writes it, without the dot at its end."""
    data = getattr(record, "rdata", None)
    if data is None and hasattr(record, "exchange"):  # MX
        data = f"{record.preference} {record.exchange.decode()}"  # type: ignore[attr-defined]
    if data is None and hasattr(record, "target"):  # SRV
        where = record.target.decode()
        data = f"{record.priority} {record.weight} {record.port} {where}"  # type: ignore[attr-defined]
    if isinstance(data, list):  # TXT
        data = b"".join(part if isinstance(part, bytes) else part.encode() for part in data)
    return (data.decode() if isinstance(data, bytes) else str(data)).removesuffix(".")


def servers(site: Site, node: str) -> list[str]:
    """The name servers of a node's resolv.conf(5)."""
    lines = site.testbed[node].run(["cat", "/etc/resolv.conf"], check=False).text.splitlines()
    return [line.split()[1] for line in lines if line.startswith("nameserver ")]
