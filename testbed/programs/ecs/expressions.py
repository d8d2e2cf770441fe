"""The cluster query language, as far as placement constraints of type memberOf use it.

``SUBJECT OPERATOR [ARGUMENT]``, combined by and, or, not and parentheses; the subject is
``attribute:NAME``, ``ec2InstanceId`` or ``agentConnected`` (AWS: cluster query language).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

TOKEN = re.compile(r"\s*(?:(\[[^\]]*\])(?=[\s)]|$)|(!=|[()!])|([^\s()]+))")
OPERATORS = ("==", "equals", "!=", "not_equals", "exists", "not_exists", "in", "not_in", "=~")
Test = Callable[[Mapping[str, str]], bool]


class ExpressionError(ValueError):
    """An expression that is none of the language."""


def parse(text: str) -> Test:
    """Return the test of an instance's attributes that an expression is. Raises ExpressionError."""
    tokens = _tokens(text)
    test, rest = _either(tokens)
    if rest:
        raise ExpressionError(f"unexpected {rest[0]}")
    return test


def _tokens(text: str) -> list[str]:
    found, at = [], 0
    text = text.strip()
    while at < len(text):
        match = TOKEN.match(text, at)
        if match is None:
            raise ExpressionError(f"unexpected {text[at:]}")
        found.append(match[1] or match[2] or match[3])
        at = match.end()
    return found


def _either(tokens: list[str]) -> tuple[Test, list[str]]:
    test, rest = _both(tokens)
    while rest and rest[0] in ("or", "||"):
        other, rest = _both(rest[1:])
        test = _or(test, other)
    return test, rest


def _both(tokens: list[str]) -> tuple[Test, list[str]]:
    test, rest = _single(tokens)
    while rest and rest[0] in ("and", "&&"):
        other, rest = _single(rest[1:])
        test = _and(test, other)
    return test, rest


def _or(one: Test, other: Test) -> Test:
    return lambda instance: one(instance) or other(instance)


def _and(one: Test, other: Test) -> Test:
    return lambda instance: one(instance) and other(instance)


def _single(tokens: list[str]) -> tuple[Test, list[str]]:
    if not tokens:
        raise ExpressionError("the expression ends too early")
    if tokens[0] in ("not", "!"):
        test, rest = _single(tokens[1:])
        return (lambda instance: not test(instance)), rest
    if tokens[0] == "(":
        test, rest = _either(tokens[1:])
        if not rest or rest[0] != ")":
            raise ExpressionError("a parenthesis is not closed")
        return test, rest[1:]
    if len(tokens) < 2 or tokens[1] not in OPERATORS:
        raise ExpressionError(f"no operator after {tokens[0]}")
    subject, operator = tokens[0].removeprefix("attribute:"), tokens[1]
    if operator.endswith("exists"):
        wanted = operator == "exists"
        return (lambda instance: (subject in instance) == wanted), tokens[2:]
    if len(tokens) < 3:
        raise ExpressionError(f"nothing after {operator}")
    return _comparison(subject, operator, tokens[2]), tokens[3:]


def _comparison(subject: str, operator: str, argument: str) -> Test:
    if operator in ("in", "not_in"):
        if not argument.startswith("["):
            raise ExpressionError(f"{operator} is followed by a list in brackets")
        values = {each.strip() for each in argument[1:-1].split(",")}
        wanted = operator == "in"
        return lambda instance: (instance.get(subject) in values) == wanted
    if operator == "=~":
        try:
            pattern = re.compile(argument)
        except re.error as error:
            raise ExpressionError(f"{argument} is no regular expression") from error
        return lambda instance: bool(pattern.fullmatch(instance.get(subject, "")))
    wanted = operator in ("==", "equals")
    return lambda instance: (instance.get(subject) == argument) == wanted
