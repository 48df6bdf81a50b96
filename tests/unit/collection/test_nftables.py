"""The table of nftables: each pair of files in recorded/firewall is what is declared and what is written.

A new case is a new pair of files. The lab's tests give the same tables to a real nftables.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ansible_collections.dianrong.cloud.plugins.module_utils import _firewall, _nftables

CASES = sorted((Path(__file__).parent / "recorded/firewall").glob("*.json"))


def made(case):
    return _firewall.plan(**json.loads(case.read_text("utf-8")))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_what_is_declared_makes_this_table(case):
    assert _nftables.render(made(case)) == case.with_suffix(".nft").read_text("utf-8")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_only_our_table_is_named(case):
    """Docker's rules are in tables of their own; a flush or another name would reach them."""
    text = _nftables.render(made(case))
    assert set(re.findall(r"^(?:table|delete table) (.+?)(?: \{)?$", text, re.MULTILINE)) == {"inet drcloud"}
    assert "flush" not in text


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_every_verdict_on_a_packet_is_counted(case):
    own = json.loads(case.read_text("utf-8")).get("extra_rules", [])
    lines = [line.strip() for line in _nftables.render(made(case)).splitlines()]
    rules = [re.sub('".*?"', "", line) for line in lines if line not in own and "policy" not in line]
    verdicts = [rule for rule in rules if re.search(r"\b(accept|drop|goto)\b", rule)]
    assert verdicts
    assert [rule for rule in verdicts if not re.search(r"\bcounter\b", rule)] == []


def test_zones_with_alike_names_have_chains_of_their_own():
    names = ["DMZ 1", "dmz-1", "dmz 1 1", "dmz_1__1", "管理", "办公", "office"]
    chains = _nftables.chain_names(names)
    assert len(set(chains.values())) == len(names)
    assert chains["office"] == "zone_office"


def test_a_comment_is_cut_between_characters():
    """libnftnl takes 127 bytes; a Chinese character has three."""
    zone = {"name": "域" * 60, "prefixes": ["10.0.0.0/8"], "allows": ["ping"]}
    text = _nftables.render(_firewall.plan([zone], {}, "10.0.0.1"))
    comments = re.findall('comment "(.*?)"', text)
    assert max(len(comment.encode()) for comment in comments) == 126
    assert "域" * 42 in comments


def test_a_table_that_was_listed_can_be_put_back():
    listed = "table inet drcloud {\n\tchain input {\n\t}\n}\n"
    text = _nftables.restore(listed)
    assert text.endswith(listed)
    assert text.index("delete table inet drcloud") < text.index(listed)
