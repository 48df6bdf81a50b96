"""Objects by key: the plan from cases, and the same on a real CMDB."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from drcloud.cmdb import entries, objects, values
from drcloud.cmdb.entries import Entry
from drcloud.cmdb.natural import kinds
from drcloud.cmdb.plan import Change
from drcloud.cmdb.state import Loaded
from drcloud.cmdb.store import Store
from drcloud.cmdb.wanted import Wanted, prepare
from drcloud.errors import DeniedError, DrcloudError, InvalidInputError, LockedError, NotFoundError

CASES = sorted((Path(__file__).parent / "object_cases").glob("*.yml"))


def loaded(case: dict[str, Any]) -> Loaded:
    """Return the state that a case knows, its fields completed and its versions as it says."""
    found = Loaded({kind: {} for kind in kinds()}, {})
    for kind, rows in case.get("known", {}).items():
        for key, fields in rows.items():
            found.documents[kind][key] = {**values.defaults(kinds()[kind]), **fields}
            found.rows[kind, key] = SimpleNamespace(version=case.get("versions", {}).get(key, 1))  # type: ignore[assignment]
    return found


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_plan(path: Path) -> None:
    case = yaml.safe_load(path.read_text("utf-8"))
    wanted = [Wanted(**{"fields": {}, **one}) for one in case["wanted"]]
    if "error" in case:
        with pytest.raises(DrcloudError) as caught:
            objects.plan(loaded(case), prepare(wanted))
        assert str(caught.value) == case["error"]
        return
    planned = objects.plan(loaded(case), prepare(wanted))
    known = loaded(case).documents
    expected = [
        Change(
            one["kind"],
            one["key"],
            one["action"],
            known[one["kind"]][one["key"]] if one["action"] == "delete" else one.get("before", {}),
            one.get("after", {}),
        )
        for one in case["changes"]
    ]
    assert list(planned) == expected


def change(store: Store, *wanted: Wanted, **how: Any) -> objects.Outcome:
    return objects.change(store, wanted, reason="test", **how)


def test_dry_run_is_what_is_done_then_and_again_nothing(filled: Store) -> None:
    wanted = [
        Wanted("host", {"rack": "bj1/r1/a03", "attrs.team": "pay"}, "dk-02"),
        Wanted("rack", key="bj1/r1/a03"),
        Wanted("block_device", {"purpose": "raw"}, "dk-02:/dev/sdx"),
        Wanted("release", {"git_ref": "main"}, "demo:rt67:sha256:" + "a" * 64),
        Wanted("schedule", key="nightly", state="absent"),
    ]
    seq = filled.declared_seq()
    predicted = change(filled, *wanted, dry_run=True)
    assert filled.declared_seq() == seq
    assert change(filled, *wanted) == predicted
    assert filled.declared_seq() == seq + 5
    assert change(filled, *wanted).changes == ()
    assert filled.declared_seq() == seq + 5
    assert predicted.objects[0].version == 2
    assert predicted.objects[0].fields["rack"] == "bj1/r1/a03"


def test_all_or_none(filled: Store) -> None:
    seq = filled.declared_seq()
    with pytest.raises(InvalidInputError, match=r"there is no rack 'bj1/r1/a1' .*did you mean bj1/r1/a01"):
        change(filled, Wanted("tag", key="gpu"), Wanted("host", {"rack": "bj1/r1/a1"}, "dk-01"))
    assert filled.declared_seq() == seq


def test_stale_version_names_object_and_both_versions(filled: Store) -> None:
    seen = change(filled, Wanted("host", {"asset_tag": "A-1"}, "dk-01")).objects[0].version
    change(filled, Wanted("host", {"asset_tag": "A-2"}, "dk-01", version=seen))
    with pytest.raises(LockedError, match=f"host dk-01 is at version {seen + 1}, not {seen}"):
        change(filled, Wanted("host", {"asset_tag": "A-3"}, "dk-01", version=seen))


def test_a_host_goes_with_what_belongs_to_it(filled: Store) -> None:
    change(
        filled,
        Wanted("host", {"name": "dk-03", "role": "docker"}),
        Wanted("address", {"address": "10.90.0.13", "host": "dk-03"}),
        Wanted("nic", {"mac": "52:54:00:00:00:01"}, "dk-03/eth0"),
    )
    gone = change(filled, Wanted("host", key="dk-03", state="absent")).changes
    assert {(one.kind, one.key) for one in gone} == {
        ("host", "dk-03"),
        ("address", "10.90.0.13"),
        ("nic", "dk-03/eth0"),
    }
    with pytest.raises(InvalidInputError, match="host dk-01 is still used by placement host demo@prod/dk-01"):
        change(filled, Wanted("host", key="dk-01", state="absent"))


def test_only_the_objects_around_are_read(filled: Store) -> None:
    change(filled, *(Wanted("host", {"role": "docker"}, f"h-{number}") for number in range(40)))
    with filled.read() as session:
        found = objects.read(session, prepare([Wanted("host", {"asset_tag": "A-1"}, "h-7")]))
    assert set(found.documents["host"]) == {"h-7"}


def test_a_name_of_another_form_is_refused(filled: Store) -> None:
    with pytest.raises(InvalidInputError, match="rack 'bj1' is no such name: write room/code"):
        change(filled, Wanted("rack", key="bj1"))


def test_unknown_reference_without_anything_close(filled: Store) -> None:
    with pytest.raises(InvalidInputError, match="`drcloud cmdb show host` lists what is known"):
        change(filled, Wanted("nic", {"host": "zzzzzz", "name": "eth0"}))


def test_a_reason_is_needed_also_where_nothing_changes(filled: Store) -> None:
    with pytest.raises(InvalidInputError, match="needs a reason"):
        objects.change(filled, [Wanted("host", key="dk-01")], reason=" ", dry_run=True)


def test_unknown_kind_is_not_found() -> None:
    with pytest.raises(NotFoundError, match=r"it knows .*host"):
        prepare([Wanted("xyzzy")])


def test_a_dry_run_is_denied_like_the_write(filled: Store) -> None:
    change(filled, Wanted("environment", {"change_required": True}, "prod"))
    for how in ({"dry_run": True}, {}):
        with pytest.raises(DeniedError, match=r"host dk-01 belongs to environment prod.*--ticket"):
            change(filled, Wanted("host", {"asset_tag": "A-1"}, "dk-01"), **how)
        change(filled, Wanted("host", {"asset_tag": "A-1"}, "infra-01"), **how)


def test_an_override_for_qa_is_no_matter_of_prod_in_a_dry_run_either(filled: Store) -> None:
    change(filled, Wanted("environment", {"change_required": True}, "prod"))
    spec = {"image": "dianrong/demo", "port": 8080, "env": {"A": "1"}}
    overrides = {"prod": {"env": {"A": "2"}}, "qa": {"env": {"A": "3"}}}
    entry = Entry("apps", {"name": "demo", "spec": {**spec, "overrides": overrides}})
    predicted = entries.declare(filled, [entry], reason="test", dry_run=True)
    assert entries.declare(filled, [entry], reason="test") == predicted
    with pytest.raises(DeniedError, match="app demo belongs to environment prod"):
        entry = Entry("apps", {"name": "demo", "spec": {**spec, "port": 8081}})
        entries.declare(filled, [entry], reason="test", dry_run=True)
