"""Waiting for something to become true."""

from __future__ import annotations

import time
from itertools import count
from typing import TYPE_CHECKING, TypeVar

from testbed.errors import NetworkError

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed.testing.testbed import Testbed

T = TypeVar("T")
POLL_S = 0.05
PRECISION = 0.1  # of the time waited so far: what takes long need not be asked for as often


def eventually(
    function: Callable[[], T],
    timeout: float = 10.0,
    *,
    interval: float = POLL_S,
    clock: Testbed | None = None,
) -> T:
    """Call `function` until it returns something true, and return that.

    An AssertionError or NetworkError that it raises means "not yet". Two calls are `interval`
    seconds apart, or a tenth of the time waited so far if that is longer. After `timeout` seconds
    raises AssertionError with the last value or error, and the number of calls.
    With a `clock`, these are seconds of that testbed: virtual time does not pass by itself
    between two calls.
    """
    virtual = clock is not None and clock.is_virtual
    now = clock.elapsed if clock is not None and virtual else time.monotonic
    sleep = clock.advance if clock is not None and virtual else time.sleep
    begun = now()
    for calls in count(1):
        cause: Exception | None = None
        last = ""
        try:
            value = function()
            if value:
                return value
            last = f"the last value was {value!r}"
        except (AssertionError, NetworkError) as error:
            cause, last = error, f"the last error was: {error}"
        waited = now() - begun
        if waited >= timeout:
            times = "once" if calls == 1 else f"{calls} times"
            raise AssertionError(f"not true within {timeout:g} s, asked {times}; {last}") from cause
        sleep(min(max(interval, waited * PRECISION), timeout - waited))
    raise AssertionError  # count() has no end
