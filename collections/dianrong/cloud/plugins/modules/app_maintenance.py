#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: app_maintenance
short_description: Have the load balancers answer for an app with a page, or let the app answer again
version_added: 0.1.0
description:
  - Declares in the CMDB that an app in an environment is in maintenance (C(attrs.maintenance) of the
    placement), has every load balancer in front of it answer all its requests with status 503, a page and
    C(Retry-After), and reads that back. Without a reload, so no other pool and no connection notices.
  - A load balancer that is provisioned does what the CMDB declares; what it was told outlives a reload and a
    restart. The page is a variable of the role C(load_balancer).
  - Holds C(lb:POOL) together with rolls, so a provision of a load balancer makes it fail with exit code 5.
  - Instances go on running, and rolls go on; requests in hand are answered, and websockets stay open.
  - "A load balancer that does not answer keeps the others from nothing: they follow, the declaration stands,
    and the task fails with exit code 3 and names it."
  - Processes of an earlier configuration that still have connections let each have its next request.
options:
  app:
    description: The app.
    type: str
    required: true
  env:
    description: The environment.
    type: str
    required: true
  enabled:
    description: Whether it is in maintenance.
    type: bool
    required: true
extends_documentation_fragment:
  - dianrong.cloud._attributes
  - dianrong.cloud._attributes.controller
  - dianrong.cloud._cmdb
author:
  - drCloud contributors (@dianrong)
seealso:
  - module: dianrong.cloud.lb_member
"""

EXAMPLES = r"""
- name: Let users know
  dianrong.cloud.app_maintenance:
    app: demo
    env: prod
    enabled: true
    reason: the database moves
    ticket: CHG-1042
"""

RETURN = r"""
lbs:
  description:
    - What each load balancer that answers does. V(page) or V(app); V(page until it restarts) or
      V(page when it restarts) where somebody changed one half of it by hand.
  returned: success
  type: dict
  sample: {lb-01: page, lb-02: page}
changes:
  description: What changed in the CMDB, or in check mode would.
  returned: success
  type: list
  elements: dict
  sample:
    - kind: placement
      key: demo@prod
      action: update
      before: {attrs: {}}
      after: {attrs: {maintenance: true}}
"""
