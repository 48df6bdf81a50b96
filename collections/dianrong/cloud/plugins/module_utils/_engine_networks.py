# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The networks of an engine, with the containers that use them."""

from __future__ import annotations

from urllib.parse import quote

from ansible_collections.dianrong.cloud.plugins.module_utils._bridges import Network
from ansible_collections.dianrong.cloud.plugins.module_utils._engine import Engine, EngineError


class EngineNetworks(Engine):
    """An engine as the owner of networks."""

    def swarm(self):
        """Tell whether the engine is in swarm mode, or on its way in or out."""
        return self.info().get("Swarm", {}).get("LocalNodeState", "inactive") != "inactive"

    def networks(self):
        """Return all networks."""
        users = {}
        for container in self._json("GET", "/containers/json", {"all": "1"}):
            name = container["Names"][0].lstrip("/")
            for network in container.get("NetworkSettings", {}).get("Networks") or {}:
                users.setdefault(network, []).append(name)
        return tuple(_network(found, users) for found in self._json("GET", "/networks"))

    def create_network(self, network):
        """Make a network."""
        payload = {
            "Name": network.name,
            "CheckDuplicate": True,
            "Driver": network.driver,
            "EnableIPv6": network.ipv6,
            "IPAM": {"Driver": "default", "Config": [dict(one) for one in network.subnets]},
            "Options": dict(network.options),
            "Labels": dict(network.labels),
        }
        self._json("POST", "/networks/create", None, payload)

    def remove_network(self, name):
        """Remove a network; gone already is as good."""
        try:
            self._done("DELETE", f"/networks/{quote(name)}")
        except EngineError as error:
            if error.status != 404:
                raise


def _network(found, users):
    return Network(
        name=found["Name"],
        driver=found["Driver"],
        options=found.get("Options") or {},
        labels=found.get("Labels") or {},
        subnets=tuple(found.get("IPAM", {}).get("Config") or ()),
        ipv6=bool(found.get("EnableIPv6")),
        users=tuple(sorted(users.get(found["Name"], ()))),
    )
