#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cmdb_release
short_description: Declare a release of an app in the CMDB
version_added: 0.1.0
description:
  - Declares that a tag of an app stands for an image digest, and points channels at it.
  - A release is known by app, tag and digest. The same tag with another digest is another release.
options:
  app:
    description: The app.
    type: str
    required: true
  tag:
    description: The tag, for instance V(rt67).
    type: str
    required: true
  digest:
    description: The image digest, C(sha256:) and 64 hexadecimal digits.
    type: str
    required: true
  git_ref:
    description: The commit it was built from.
    type: str
  build:
    description: The build that made it.
    type: str
  channels:
    description:
      - Channels to point at this release, for instance V(prod). Other channels stay as they are.
      - Not used when O(state=absent).
    type: list
    elements: str
    default: []
  attrs:
    description: Free fields, as a whole.
    type: dict
extends_documentation_fragment:
  - dianrong.cloud._attributes
  - dianrong.cloud._attributes.controller
  - dianrong.cloud._cmdb
  - dianrong.cloud._cmdb.state
  - dianrong.cloud._cmdb.version
author:
  - drCloud contributors (@dianrong)
"""

EXAMPLES = r"""
- name: Record what the build pushed
  dianrong.cloud.cmdb_release:
    app: shop
    tag: rt67
    digest: "{{ pushed.digest }}"
    git_ref: "{{ lookup('env', 'GIT_COMMIT') }}"
    build: "{{ lookup('env', 'BUILD_TAG') }}"
    channels: [rt67]
    reason: built
"""

RETURN = r"""
changes:
  description: What changed, or in check mode would, object by object, with the fields that differ.
  returned: success
  type: list
  elements: dict
  sample:
    - kind: host
      key: dk-01
      action: update
      before: {rack: bj1/r1/a01}
      after: {rack: bj1/r1/a02}
objects:
  description: The objects as they are then, each with its kind, natural key, version and fields.
  returned: success
  type: list
  elements: dict
  sample:
    - kind: host
      key: dk-01
      version: 3
      fields: {name: dk-01, role: docker}
"""
