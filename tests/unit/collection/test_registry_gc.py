"""Where a registry listens, read from its configuration as a host can: without a parser of YAML."""

from __future__ import annotations

import pytest

from ansible_collections.dianrong.cloud.plugins.modules import registry_gc

OURS = """\
# Written by drCloud (role dianrong.cloud.registry): changes made here are lost.
version: 0.1
storage:
  filesystem:
    rootdirectory: "/var/lib/docker-registry"
http:
  addr: ":5000"
  headers:
    X-Content-Type-Options: [nosniff]
  tls:
    # Certificate and key in one file, so that they change together.
    certificate: /etc/drcloud/registry/tls.pem
  debug:
    addr: "127.0.0.1:5001"
auth:
  htpasswd:
    realm: "infra-01"
"""
DEBIANS = "version: 0.1\nhttp:\n  addr: :5000\n  headers:\n    X-Content-Type-Options: [nosniff]\n"
TURNED = "http:\n    debug:\n        addr: localhost:5001\n\n# The registry itself\n    addr: '[::1]:444'"
ALL = "127.0.0.1"


@pytest.mark.parametrize(
    ("config", "place"),
    [
        (OURS, (ALL, 5000)),
        (OURS.replace(":5000", "10.90.0.31:443"), ("10.90.0.31", 443)),
        (DEBIANS, (ALL, 5000)),
        (TURNED, ("::1", 444)),
        # Nobody can be waited for at a socket, or where nothing is said.
        (OURS.replace(":5000", "/run/registry.sock"), None),
        ("version: 0.1\nnotifications:\n  addr: elsewhere:80\n", None),
        ("", None),
    ],
)
def test_it_is_waited_for_where_it_listens(tmp_path, config, place):
    path = tmp_path / "config.yml"
    path.write_text(config)
    found = registry_gc.listens_at(str(path))
    assert found == ({} if place is None else {"listens_at": place[0], "listens_on": place[1]})


def test_a_configuration_that_is_not_there_says_nothing(tmp_path):
    assert registry_gc.listens_at(str(tmp_path / "none.yml")) == {}
