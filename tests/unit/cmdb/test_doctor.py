"""``drcloud doctor`` looks at the hosts that the inventory source gives, and at their roles."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from drcloud.cmdb.store import Store
from drcloud.doctor.context import Context, Site, site
from drcloud.doctor.database import cmdb
from drcloud.doctor.finding import Finding, Level, counted
from drcloud.doctor.roles import roles
from drcloud.exitcodes import ExitCode

Visit = Callable[[str], tuple[Context, list[Finding]]]


@pytest.fixture
def visit(filled: Store, tmp_path: Path) -> Visit:
    """Open the CMDB as a source says; return the context and what was found."""

    def look(text: str) -> tuple[Context, list[Finding]]:
        path = tmp_path / "site.cmdb.yml"
        path.write_text(f"plugin: dianrong.cloud.cmdb\n{text}\n", encoding="utf-8")
        place = site(str(path))
        assert place is not None
        context = Context(place)
        return context, list(cmdb(context))

    return look


@pytest.mark.parametrize(
    ("text", "names", "others"),
    [
        ("", {"dk-01", "dk-02", "lb-01", "infra-01", "bastion-01"}, set()),
        ("role: [docker]", {"dk-01", "dk-02"}, {"bastion-01"}),
        ("role: [docker]\nwhere: dr_rack == 'bj1/r1/a01'", {"dk-01"}, {"bastion-01", "dk-02"}),
        ("env: [prod]\nfields: [role]", {"dk-01", "dk-02", "lb-01"}, {"bastion-01"}),
    ],
)
def test_the_hosts_are_those_of_the_source(
    visit: Visit, text: str, names: set[str], others: set[str]
) -> None:
    context, [found] = visit(text)
    assert found.level is Level.OK
    assert (
        found.message == f"{counted(len(names), 'host')}, change {context.snapshot and context.snapshot.seq}"
    )
    assert {row.name for row in context.hosts()} == names
    assert context.snapshot is not None
    # The bastions on the way are not visited for themselves, but without them nobody gets there.
    assert {row.name for row in context.snapshot.others} == others


def test_a_where_that_only_ansible_knows_is_told(visit: Visit) -> None:
    context, [_, said] = visit("where: dr_role | regex_search('^dock')")
    assert (said.level, len(context.hosts())) == (Level.WARNING, 5)
    assert said.message.startswith("only Ansible can tell what `where` means")


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("state: [retired]", ExitCode.NOTHING_MATCHED, "no host of the CMDB matches state retired"),
        ("idc: [bj2]", ExitCode.INVALID_INPUT, "option idc: there is no IDC 'bj2'"),
        ("groups: {a: dr_role ==}", ExitCode.INVALID_INPUT, "the expression 'dr_role ==' does not parse"),
    ],
)
def test_a_source_that_gives_no_host(visit: Visit, text: str, code: ExitCode, said: str) -> None:
    context, [found] = visit(text)
    assert (found.exit_code, found.message) == (code, found.message)
    assert said in found.message
    assert context.snapshot is None


def test_a_role_that_looks_misspelt_is_told(visit: Visit, filled: Store) -> None:
    context, _ = visit("")
    assert list(roles(context)) == []
    with filled.write(reason="a slip") as session:
        from drcloud.cmdb import lookup

        lookup.host(session, "infra-01").role = "dokcer"
    context, _ = visit("")
    [found] = roles(context)
    assert (found.level, found.subject) == (Level.WARNING, "infra-01")
    assert found.message.endswith("did you mean docker?")
    assert found.advice == "drcloud cmdb set host infra-01 role=docker"


def test_one_is_not_many() -> None:
    assert (counted(1, "host"), counted(2, "host"), counted(0, "problem")) == (
        "1 host",
        "2 hosts",
        "0 problems",
    )


def test_without_a_source_it_is_the_whole_cmdb(filled: Store) -> None:
    context = Context(Site("the CMDB"))
    assert [found.level for found in cmdb(context)] == [Level.OK]
    assert len(context.hosts()) == 5
