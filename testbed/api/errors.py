"""Errors that AWS's clients understand."""

from __future__ import annotations


class ApiError(Exception):
    """A call that is refused: AWS's code for it, a message, and the HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


def unsupported(service: str, operation: str) -> ApiError:
    """Return the error for an operation that nothing here carries out."""
    return ApiError("UnsupportedOperation", f"{service}:{operation} is not emulated here", 501)
