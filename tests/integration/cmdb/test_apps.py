"""Apps on both engines: from a file, with configuration that many change at once and none loses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from drcloud.cmdb import appcard, appconfig, appfile, importer
from drcloud.cmdb.store import Store

IDC = """\
drcloud: 1
environments: [{name: qa}, {name: prod}]
prefixes: [{cidr: 10.90.0.0/24}]
registries: [{name: main, endpoint: "registry.test:5000"}]
hosts:
  - {name: dk-01, role: docker, address: 10.90.0.11}
"""
SHOP = """\
name: shop
spec:
  image: team/shop
  port: 8080
  secrets: {DB: {source: "vault:/etc/all.yml#db"}}
  volumes: [{source: /srv/shop, target: /data}]
placements: [{env: prod, hosts: [dk-01]}]
"""
WRITERS, EACH = 4, 5


def _set(number: int, url: str) -> None:
    store = Store.open(url)
    for turn in range(EACH):
        name, value = f"WRITER_{number}", str(turn)
        appconfig.change(
            store, "shop", "prod", lambda known, n=name, v=value: {**known, n: v}, reason="at once"
        )


def test_many_change_a_configuration_at_once_and_none_is_lost(
    cmdb_url: str, tmp_path: Path, crowd: Any, require_consistent: Any
) -> None:
    store = Store.open(cmdb_url)
    for name, text in (("idc.yml", IDC), ("shop.yml", SHOP)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    importer.import_files(store, importer.Request((tmp_path / "idc.yml",)))
    appfile.apply(store, tmp_path / "shop.yml")
    crowd.succeed(WRITERS, _set, cmdb_url)
    with store.read() as session:
        card = appconfig.card(session, "shop", "prod")
        first = appconfig.version(session, "shop", "prod", 1)
    assert card.number == WRITERS * EACH
    assert card.values == {f"WRITER_{number}": str(EACH - 1) for number in range(WRITERS)}
    assert (len(first.values), card.reason) == (1, "at once")
    [line] = appcard.listed(store)
    assert (line.name, line.environments) == ("shop", ("prod",))
    [place] = appcard.read(store, "shop").placements
    assert (place.hosts, place.config_version) == (("dk-01",), WRITERS * EACH)
    assert appfile.apply(store, tmp_path / "shop.yml") == ()
    require_consistent(store)
