"""``drcloud host``: what it lists and shows, and what it refuses before a playbook starts."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from drcloud.cmdb import hostcard, hostlist, hosts, importer, lookup, observations
from drcloud.cmdb.hostcard import fingerprint
from drcloud.cmdb.selection import Selection
from drcloud.cmdb.store import Store
from drcloud.exitcodes import ExitCode

Drcloud = Callable[..., tuple[int, str, str]]
GIB = 1024**3
KEY = base64.b64encode(b"public key").decode()
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
FACTS: dict[str, Any] = {
    "distribution": {"name": "Debian GNU/Linux 12 (bookworm)"},
    "kernel": {"release": "6.1.0-28-amd64"},
    "cpu": {"count": 8, "model": "EPYC"},
    "memory": {"total": 16 * GIB},
    "engine": {"version": "20.10.24", "storage_driver": "overlay2"},
    "block_devices": [{"name": "sdb", "size": 480 * GIB, "serial": None, "wwn": None, "model": "SSD"}],
}
MORE = """\
drcloud: 1
addresses: [{address: 10.90.0.40, purpose: vip}]
vips: [{name: www, address: 10.90.0.40, vrrp_id: 51, lbs: [lb-01]}]
hosts:
  - name: dk-01
    role: docker
    address: 10.90.0.11
    bridges: [{name: br0, mode: uplink, nic: eth0, containers: 10.91.0.0/16}]
apps:
  - name: demo
    spec: {image: dianrong/demo, port: 8080, resources: {memory: 512m, cpus: 1.5}}
"""


def instance(**changes: Any) -> dict[str, Any]:
    return {
        **{"name": "demo_prod_a_01234567", "app": "demo", "env": "prod", "slot": "a", "tag": "rt67"},
        **{"digest": "sha256:" + "ab" * 32, "revision": "01234567", "deployment": "d1"},
        **{"status": "running", "health": "healthy", "started_at": "2026-01-01T11:00:00+00:00"},
        **changes,
    }


@pytest.fixture
def seen(filled: Store, tmp_path: Path) -> Store:
    """The small IDC with a host that was looked at, bridges, a VIP and certificates."""
    more = tmp_path / "more.yml"
    soon, past = ((datetime.now(UTC) + timedelta(days=days, hours=1)).isoformat() for days in (10, -3))
    certificates = [
        f"  - {{name: {name}, subject: CN=dk-01, issuer: CN=ca, not_after: '{end}', host: dk-01, "
        f"fingerprint: '{digit * 64}', purpose: {purpose}}}\n"
        for name, end, digit, purpose in (("api", soon, "1", "engine-api"), ("log", past, "2", "log-client"))
    ]
    more.write_text(MORE + "certificates:\n" + "".join(certificates), encoding="utf-8")
    importer.import_files(filled, importer.Request((more,)))
    with filled.write(reason="first contact") as session:
        hosts.pin_keys(session, lookup.host(session, "dk-01"), {"ssh-ed25519": KEY})
    observations.record_facts(filled, "dk-01", FACTS)
    stranger = instance(name="old_qa_b_1", app="old", env="qa", slot="b", status="exited", health="none")
    observations.record_instances(filled, "dk-01", [instance(), stranger], "observe", NOON)
    return filled


def test_a_list_tells_size_and_load(seen: Store, drcloud: Drcloud) -> None:
    code, out, _ = drcloud("host", "list", "--role", "docker", "--json")
    assert code == 0
    first, second = json.loads(out)
    assert {**first, "facts_at": None} == {
        **{"name": "dk-01", "role": "docker", "state": "planned", "rack": "bj1/r1/a01"},
        **{"address": "10.90.0.11", "engine": "20.10.24", "cpus": 8, "memory": 16 * GIB},
        **{"placed": 1, "facts_at": None},
    }
    assert (second["name"], second["engine"], second["memory"], second["placed"]) == ("dk-02", None, None, 1)
    code, out, _ = drcloud("host", "list")
    assert (code, len(out.splitlines())) == (0, 6)
    assert next(line for line in out.splitlines() if line.startswith("dk-01")).split() == [
        *("dk-01", "docker", "planned", "bj1/r1/a01", "10.90.0.11", "20.10.24", "8", "16", "GiB", "1")
    ]


def test_a_list_of_nothing_is_no_success(seen: Store, drcloud: Drcloud) -> None:
    assert drcloud("host", "list", "--role", "lb", "--state", "active") == (
        *(4, ""),
        "drcloud: no host of the CMDB matches state active and role lb: change the filters\n",
    )
    code, _, err = drcloud("host", "list", "--role", "dokcer")
    assert (code, err) == (2, "drcloud: option role: there is no role 'dokcer': did you mean docker?\n")


def test_no_hosts_at_all_says_what_to_do(store: Store, drcloud: Drcloud) -> None:
    code, _, err = drcloud("host", "list")
    assert (code, "declare hosts in a file" in err) == (4, True)


def test_a_card_has_it_all(seen: Store, drcloud: Drcloud) -> None:
    code, out, _ = drcloud("host", "show", "dk-01", "--json")
    card = json.loads(out)
    assert code == 0
    assert card["place"] == {
        **{"idc": "bj1", "room": "bj1/r1".partition("/")[2], "rack": "bj1/r1/a01", "units": []},
        **{"model": None, "serial": "SN-1", "asset_tag": None},
    }
    assert card["ssh"] == {"user": "ops", "port": 22, "via": "bastion-01"}
    assert card["addresses"] == [{"address": "10.90.0.11", "purpose": "management", "nic": None}]
    assert [(one["name"], one["containers"]) for one in card["bridges"]] == [("br0", "10.91.0.0/16")]
    assert card["keys"] == [{"type": "ssh-ed25519", "fingerprint": fingerprint(KEY)}]
    assert [(one["name"], one["days"]) for one in card["certificates"]] == [("log", -3), ("api", 10)]
    assert card["facts"] == FACTS
    assert card["observed_at"] == NOON.isoformat()
    assert card["capacity"]["memory"] == {
        **{"total": 16 * GIB, "promised": GIB // 2, "left": 16 * GIB - GIB // 2},
        **{"roll": GIB // 2, "unlimited": []},
    }
    assert card["capacity"]["cpus"]["left"] == 6.5
    disks = card["capacity"]["disks"]
    assert [(one["name"], one["size"], one["declared"]["purpose"]) for one in disks] == [
        (None, None, "docker-data"),
        ("sdb", 480 * GIB, "spare"),
    ]
    [placed] = card["placed"]
    assert (placed["app"], placed["env"], placed["cpus"], placed["memory"]) == ("demo", "prod", 1.5, GIB // 2)
    assert (placed["state"], placed["seen"]["tag"], placed["seen"]["status"]) == ("ok", "rt67", "running")
    assert [(one["app"], one["env"], one["status"]) for one in card["unplaced"]] == [("old", "qa", "exited")]


def test_a_card_can_be_read(seen: Store, drcloud: Drcloud) -> None:
    code, out, _ = drcloud("host", "show", "dk-01")
    assert code == 0
    lines = [" ".join(line.split()) for line in out.splitlines()]
    for wanted in (
        "dk-01 docker, planned",
        "rack bj1/r1/a01",
        "reached as ops, port 22, through bastion-01",
        "system Debian GNU/Linux 12 (bookworm) 6.1.0-28-amd64",
        "engine 20.10.24, overlay2",
        "processors 8 1.5 6.5 1.5",
        "memory 16 GiB 512 MiB 15.5 GiB 512 MiB",
        "demo@prod 1.5 512 MiB ok rt67 abababa 01-01 11:00",
        "old@qa b rt67 abababa exited",
        "S-1 docker-data ?",
        "/dev/sdb spare 480 GiB",
        "br0 uplink eth0 10.91.0.0/16",
        f"ssh-ed25519 {fingerprint(KEY)}",
    ):
        assert wanted in lines, out
    assert any(line.startswith("log log-client") and line.endswith("-3") for line in lines)


def test_balancers_and_hosts_without_facts_have_cards(seen: Store, drcloud: Drcloud) -> None:
    _, out, _ = drcloud("host", "show", "lb-01", "--json")
    assert json.loads(out)["serves"] == {"registries": [], "vips": ["www"], "placements": ["demo@prod"]}
    _, out, _ = drcloud("host", "show", "infra-01")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert {"registries main", "facts of never: provision it first"} <= set(lines)
    assert "Capacity" not in lines


@pytest.mark.parametrize("command", [("show", "dk-1"), ("provision", "dk-01", "dk-1"), ("provision", "dk-1")])
def test_an_unknown_host_is_named_with_what_was_meant(
    command: tuple[str, ...], seen: Store, drcloud: Drcloud
) -> None:
    code, out, err = drcloud("host", *command)
    assert (code, out) == (2, "")
    assert err.startswith("drcloud: there is no host 'dk-1' in the CMDB: did you mean dk-0")


def test_a_retired_host_is_not_provisioned(seen: Store, drcloud: Drcloud) -> None:
    with seen.write(reason="end of life") as session:
        hosts.transition(session, lookup.host(session, "dk-02"), "retired")
    code, _, err = drcloud("host", "provision", "dk-01", "dk-02")
    assert (code, "host dk-02 is retired" in err) == (2, True)
    with seen.read() as session:
        assert lookup.host(session, "dk-01").state == "planned"


def test_a_fingerprint_is_that_of_ssh_keygen() -> None:
    digest = base64.b64encode(hashlib.sha256(b"public key").digest()).decode()
    assert fingerprint(KEY) == f"SHA256:{digest.rstrip('=')}"
    assert fingerprint("no base64 at all") == "no base64 at all"


def test_queries_do_not_grow_with_the_hosts(filled: Store, tmp_path: Path) -> None:
    def count() -> tuple[int, int]:
        found: list[str] = []

        def note(*given: Any) -> None:
            found.append(given[2])

        event.listen(Engine, "before_cursor_execute", note)
        try:
            hostlist.read(filled, Selection())
            listed = len(found)
            hostcard.read(filled, "dk-01")
        finally:
            event.remove(Engine, "before_cursor_execute", note)
        return listed, len(found) - listed

    few = count()
    entries = ", ".join(f"{{name: n-{number}, role: docker, address: null}}" for number in range(50))
    more = tmp_path / "more.yml"
    more.write_text(f"drcloud: 1\nhosts: [{entries}]\n", encoding="utf-8")
    importer.import_files(filled, importer.Request((more,)))
    assert count() == few


def test_a_card_tells_what_was_there_when_the_host_was_adopted(
    store: Store, idc: Path, drcloud: Drcloud
) -> None:
    assert drcloud("cmdb", "import", str(idc))[0] == 0
    bound = [{"host": 80, "container": 8080, "protocol": "tcp", "address": "0.0.0.0"}]
    containers = [
        {"name": "shop", "ours": False, "status": "running", "image": "shop:1", "ports": bound},
        {"name": "demo_prod_a", "ours": True, "status": "running", "image": "demo", "ports": []},
    ]
    observations.record_survey(store, "dk-01", {"containers": containers, "notes": []})
    code, out, _err = drcloud("host", "show", "dk-01")
    assert code == 0
    _above, _title, section = out.partition("Somebody else's, when it was adopted")
    assert re.search(r"^shop +running +shop:1 +80->8080/tcp", section, re.MULTILINE)
    assert "demo_prod_a" not in section


@pytest.mark.parametrize(("name", "why"), [("lb-01", "only Docker hosts are adopted"), ("nobody", "nobody")])
def test_what_cannot_be_adopted_is_told_before_a_playbook_starts(
    filled: Store, drcloud: Drcloud, name: str, why: str
) -> None:
    code, _out, err = drcloud("host", "adopt", name)
    assert code == ExitCode.INVALID_INPUT
    assert why in err


def test_a_container_to_take_over_is_named_with_its_host(filled: Store, drcloud: Drcloud) -> None:
    code, _out, err = drcloud("app", "takeover", "demo", "shop", "--env", "prod")
    assert code == ExitCode.INVALID_INPUT
    assert "'shop' is no HOST=CONTAINER" in err
