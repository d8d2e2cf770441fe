"""Making the calls of a log again, at an endpoint, and comparing how they end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.api.log import HIDDEN
from testbed.errors import UsageError

LOOKING = ("Describe", "Get", "List", "Search")


@dataclass(frozen=True)
class Replayed:
    """A call that was made again: the error code that it had, and has now; None: it succeeded."""

    service: str
    operation: str
    then: str | None
    now: str | None

    @property
    def same(self) -> bool:
        """Whether it ended as before."""
        return self.then == self.now


def calls(file: Path) -> Iterator[dict[str, Any]]:
    """Read the calls of a log that changed something, in order. Raises UsageError."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
    except (OSError, ValueError) as error:
        hint = "name a file that testbed api --record has written"
        raise UsageError(f"cannot read calls from {file}: {error}", hint=hint) from None
    for row in rows:
        if row.get("operation") and not row["operation"].startswith(LOOKING):
            yield row


def replay(url: str, region: str, file: Path, verify: str | None = None) -> Iterator[Replayed]:
    """Make the calls of a log again, one after the other; each as it ends.

    What the log hides is left out. Objects get the identifiers that they had if what they are
    created in is the same. `verify` is a file with the certificates to trust.
    """
    import botocore.session  # noqa: PLC0415
    from botocore import xform_name  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    session = botocore.session.get_session()
    config = Config(retries={"total_max_attempts": 1}, parameter_validation=False)
    clients: dict[str, Any] = {}
    for row in calls(file):
        service, operation = row["service"], row["operation"]
        if service not in clients:
            clients[service] = session.create_client(
                service,
                region_name=region,
                endpoint_url=url,
                verify=verify,
                config=config,
                aws_access_key_id=row.get("who") or "AKIATESTBED000000000",
                aws_secret_access_key="replayed",  # noqa: S106 - any will do
            )
        now = None
        try:
            getattr(clients[service], xform_name(operation))(**_shown(row["parameters"]))
        except ClientError as error:
            now = str(error.response["Error"]["Code"])
        except BotoCoreError as error:
            now = type(error).__name__
        yield Replayed(service, operation, row.get("error"), now)


def _shown(value: Any) -> Any:
    """Return parameters without those that the log hides."""
    if isinstance(value, dict):
        return {key: _shown(inner) for key, inner in value.items() if inner != HIDDEN}
    return [_shown(inner) for inner in value] if isinstance(value, list) else value
