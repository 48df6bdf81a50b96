#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_tag
short_description: Promote an image, by letting a tag name what is in the registry already
version_added: 0.1.0
description:
  - Resolves O(source) to its digest once and puts O(tag) on exactly that digest in the app's registry. The
    manifest is sent as it came, byte by byte. Nothing is rebuilt or pulled, and no engine is needed.
  - The digest is that of what the tag names. An index of several platforms stays that index.
  - Then records the release and the channel in the CMDB, with who and why. Registry and CMDB are compared
    each on its own, so a task that was killed between the two is finished by the same task again.
  - What O(tag) named before stays on record as a release, so that the registry's garbage collection keeps it
    and the channel can go back to it.
  - A channel belongs to the environment of its name. Where that requires a change, nothing moves without an
    open one in O(ticket) that covers it.
  - It is what C(drcloud promote) does.
options:
  app:
    description: The app, as the CMDB names it.
    type: str
    required: true
  source:
    description: What to promote, a tag such as V(rt67) or a digest.
    type: str
    required: true
  tag:
    description: The channel to move, for instance V(prod).
    type: str
    required: true
  reason:
    description: Why, for the change log. Without it the log says what was promoted.
    type: str
  ticket:
    description:
      - The change ticket, for the change log, and for policy where it wants an open change.
      - Without it, the one that E(DRCLOUD_TICKET) names.
    type: str
  cmdb_url:
    description:
      - The CMDB's database as an SQLAlchemy URL. May hold C(${NAME}) of the environment.
      - Without it, the one that E(DRCLOUD_CMDB_URL) names, else the user's own SQLite file.
    type: str
extends_documentation_fragment:
  - dianrong.cloud._attributes
  - dianrong.cloud._attributes.controller
author:
  - drCloud contributors (@dianrong)
seealso:
  - module: dianrong.cloud.cmdb_release
  - module: dianrong.cloud.registry_gc
"""

EXAMPLES = r"""
- name: What was tested on stage goes to prod
  dianrong.cloud.registry_tag:
    app: shop
    source: rt67
    tag: prod
    reason: signed off by QA
    ticket: CHG-8
  run_once: true
  register: promoted

- name: The channel goes back to what it was
  dianrong.cloud.registry_tag:
    app: shop
    source: "{{ promoted.before }}"
    tag: prod
    reason: rt67 is slow
    ticket: CHG-8
  run_once: true
  when: promoted.before is not none
"""

RETURN = r"""
digest:
  description: What O(tag) names then.
  returned: success
  type: str
  sample: sha256:6737effbec3981d46377ae5470c84f3483eb15de3b7e412fb409f8b29557fe03
before:
  description: What O(tag) named in the registry before; null when it was not there.
  returned: success
  type: str
  sample: sha256:0f3b12ee9b1b9ae0f0b1d23c5bdc5bd1a3a2f1d8a5f3b83fd1f8a6c3c5f0a7e1
recorded_before:
  description: What the CMDB held of it before; null when it held nothing.
  returned: success
  type: str
  sample: sha256:0f3b12ee9b1b9ae0f0b1d23c5bdc5bd1a3a2f1d8a5f3b83fd1f8a6c3c5f0a7e1
image:
  description: The image with its digest, as an engine pulls it.
  returned: success
  type: str
  sample: registry:5000/dianrong/shop@sha256:6737effbec3981d46377ae5470c84f3483eb15de3b7e412fb409f8b29557fe03
media_type:
  description: What kind of manifest it is, an image's or an index's.
  returned: success
  type: str
  sample: application/vnd.oci.image.index.v1+json
registry:
  description: The registry, as the CMDB names it.
  returned: success
  type: str
  sample: main
git_ref:
  description: The commit that it was built from, where that is on record.
  returned: success
  type: str
  sample: 5d41402abc4b2a76b9719d911017c592a1b2c3d4
build:
  description: The build that made it, where that is on record.
  returned: success
  type: str
  sample: jenkins-shop-67
"""
