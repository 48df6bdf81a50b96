# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declare a release of an app, and point channels at it."""

from __future__ import annotations

import typing as t

from ansible_collections.dianrong.cloud.plugins.plugin_utils._cmdb import (
    PRESENCE,
    VERSION,
    WRITING,
    CmdbAction,
    Entry,
    Wanted,
    result,
    said,
)

NAME = {"type": "str", "required": True}
KEY = {"app": NAME, "tag": NAME, "digest": NAME}
FIELDS = {"git_ref": {"type": "str"}, "build": {"type": "str"}, "attrs": {"type": "dict"}}
CHANNELS = {"channels": {"type": "list", "elements": "str", "default": []}}


class ActionModule(CmdbAction):
    """A release is known by app, tag and digest; another digest is another release."""

    def act(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Read, plan, apply."""
        given = self.options(WRITING, PRESENCE, VERSION, KEY, FIELDS, CHANNELS)
        key = said(given, *KEY)
        if given["state"] == "absent":
            return result(self.change([Wanted("release", key, None, "absent", given["version"])]))
        release = {"app": given["app"], "release": given["tag"], "digest": given["digest"]}
        return result(
            self.declare(
                [
                    Entry("releases", {**key, **said(given, *FIELDS)}, given["version"]),
                    *(Entry("channels", {**release, "tag": channel}) for channel in given["channels"]),
                ]
            )
        )
