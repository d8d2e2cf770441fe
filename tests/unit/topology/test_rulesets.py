"""What a customer's ruleset may say."""

from __future__ import annotations

import pytest

from testbed.topology.rules.rulesets import Misplaced, explain, misplaced

GOOD = """\
#!/usr/sbin/nft -f
# include "/etc/other" and monitor are words in a comment
flush ruleset
define inside = { "in-cnd1", \\
  "in-cnd2" }
table inet filter {
    set ports { type inet_service; elements = { 443, 1025-65535 } }
    chain forward {
        type filter hook forward priority 0; policy drop;
        iifname $inside accept comment "include; monitor { } # no comment"
        ct state established accept }
}
add rule inet filter forward udp dport 443 accept; table ip other { }
"""


def test_definitions_are_a_ruleset() -> None:
    assert misplaced(GOOD) is None
    assert misplaced("") is None


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("monitor", 1, "monitor"),
        ("table ip x { }\nmonitor trace", 2, "monitor"),
        ("table ip x { }; monitor", 1, "monitor"),
        ("table ip x { } monitor", 1, "monitor"),
        ("flush ruleset; \\\n list ruleset", 2, "list"),
        ('include"/etc/shadow"', 1, "include"),
        ('table ip x {\n  chain y { include "/etc/shadow"\n } }', 2, "include"),
        ('define a = 1\n\tinclude\t"x"', 2, "include"),
        ('table ip x { # "\n}\ninclude "a"', 3, "include"),
        ("hello world {", 1, "hello"),
        ("}\ndescribe tcp dport", 2, "describe"),
        ("describe tcp dport", 1, "describe"),
    ],
)
def test_what_is_none_is_found(text: str, line: int, word: str) -> None:
    assert misplaced(text) == Misplaced(line, word)


def test_the_message_names_file_and_line() -> None:
    message, hint = explain(Misplaced(3, "monitor"), "fw.nft")
    assert message.startswith("fw.nft:3: 'monitor'")
    assert "testbed exec" in hint
