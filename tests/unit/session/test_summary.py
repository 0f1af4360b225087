from __future__ import annotations

from collections import Counter

from outward.cli.summary import closing_lines
from outward.core import Refusal
from outward.core.summary import Summary


def lines(refused: dict[tuple[str, str, str, str], int]) -> list[str]:
    """``refused`` is (method, host, path, code) and how often."""
    counted = {Refusal(code, m, "https", h, 443, path): n for (m, h, path, code), n in refused.items()}
    return list(closing_lines(Summary(12, 999, 3_400_000, Counter(counted)), "20261121T064426-1a62d309"))


def test_totals_and_where_to_read_more():
    first, *_, last = lines({})
    assert first == "12 requests, 999 B sent, 3.4 MB received, 0 refused"
    assert last.endswith("outward log --session 20261121T064426-1a62d309")


def test_a_refusal_comes_with_the_command_that_allows_it():
    found = lines({("POST", "api.example.com", "/v1/x", "path_not_allowed"): 2})
    assert "  refused POST api.example.com/v1/x: path_not_allowed (2 times)" in found
    assert "    to allow it: outward policy allow 'POST api.example.com/v1/x'" in found


def test_a_refused_connect_suggests_reading():
    assert "'GET,HEAD example.com/**'" in "\n".join(lines({("CONNECT", "example.com", "", "host_not_allowed"): 1}))


def test_what_no_rule_would_lift_comes_without_a_command():
    assert not any("policy allow" in line for line in lines({("GET", "h", "/", "placeholder_leak"): 1}))


def test_at_most_ten_are_listed():
    found = lines({("GET", f"h{number}.example", "/", "host_not_allowed"): number + 1 for number in range(25)})
    assert sum("refused GET" in line for line in found) == 10
    assert "  and 15 more" in found


def test_words_from_inside_cannot_steer_the_terminal_or_the_shell():
    found = "\n".join(lines({("GET", "h.example", "/\x1b[2J'; rm -rf ~; '", "path_not_allowed"): 1}))
    assert "\x1b" not in found
    assert "policy allow" not in found, "nothing is suggested that does not print"
    quoted = "\n".join(lines({("GET", "h.example", "/'; rm -rf ~; '", "path_not_allowed"): 1}))
    assert """'GET h.example/'"'"'; rm -rf ~; '"'"''""" in quoted


def test_a_star_from_inside_cannot_widen_the_suggestion():
    assert not any("policy allow" in line for line in lines({("GET", "h.example", "/**", "path_not_allowed"): 1}))


def test_another_port_and_scheme_are_in_the_suggestion():
    refusal = Refusal("port_not_allowed", "GET", "http", "h.example", 8080, "/x")
    assert refusal.allow_command == "outward policy allow 'GET http://h.example:8080/x'"


def test_what_was_allowed_and_failed_is_not_called_refused():
    failure = Refusal("upstream_unreachable", "GET", "https", "h.example", 443, "/x")
    found = list(closing_lines(Summary(3, 0, 0, failed=Counter({failure: 3})), "s"))
    assert found[0].endswith("0 refused, 3 failed")
    assert "  failed GET h.example/x: upstream_unreachable (3 times)" in found
