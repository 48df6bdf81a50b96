#!/usr/bin/python
# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout
short_description: Begin, plan, settle and finish a roll
version_added: 0.1.0
description:
  - The controller's part of a deploy. The playbook C(dianrong.cloud.deploy) shows the calls in
    their places.
  - V(begun) resolves the tag to a digest once, takes the lock C(app:APP@ENV) and opens a deployment in the
    ledger. The lock lives as long as the C(ansible-playbook) that took it, and is free half a minute after
    that was killed.
  - Load balancers that are declared out of service (maintenance, quarantined, retired) are not asked, in the
    whole roll, and V(begun) says so. It refuses where none is left.
  - V(planned) looks at what M(dianrong.cloud.app_prepare) found on the hosts and asks every load balancer.
    If a host or a load balancer is not ready, it refuses and closes the deployment; nothing was touched
    then.
  - V(settled) asks the load balancers once more whether everything that was switched still serves. Where
    the app failed, on whichever host, it names the hosts that go back and the stable revision that each of
    them goes back to. A rollback is never rolled back, and a host, registry or load balancer that failed
    puts nobody back.
  - V(finished) decides how the roll ended, records it, gives the lock back, and only then fails if it has to.
options:
  state:
    description: Which part.
    type: str
    required: true
    choices: [begun, planned, settled, finished]
  app:
    description: The app; for O(state=begun).
    type: str
  tag:
    description:
      - The tag; for O(state=begun). With O(way=rollback) it may be left out, and with O(way=resume),
        O(way=apply) and O(way=current) it is not looked at.
    type: str
  way:
    description:
      - What is wanted; for O(state=begun). V(deploy) rolls what the tag names now. V(rollback) goes back to a
        stable revision without asking the registry what a tag means. V(resume) continues the last deployment
        that did not come to its end, with its digest and settings. V(apply) rolls what O(plan) says.
        V(current) rolls the image that was stable last with the specification, the configuration and the
        secrets of today, to hosts that were added or after a setting changed.
    type: str
    choices: [deploy, rollback, resume, apply, current]
    default: deploy
  watch:
    description:
      - For how many seconds the first host is watched before the others follow; for O(state=begun). An app
        that dies after a while then costs one host. The default is what the app declares as C(canary_watch).
    type: float
  at_once:
    description:
      - Of more hosts than so many, one of each rack pulls first; for O(state=begun). See RV(first).
    type: int
    default: 10
  budget:
    description:
      - How many hosts may be lost before the roll stops; for O(state=begun).
      - A host that is lost is drained at every load balancer and quarantined in the CMDB. Rolls leave it out
        until one names it in O(only), brings it to the revision and back into service.
    type: int
    default: 0
  env:
    description: The environment; for O(state=begun).
    type: str
  only:
    description: Only these hosts of the placement; for O(state=begun).
    type: list
    elements: str
    default: []
  rollout:
    description: What O(state=begun) returned as RV(rollout); for the other three.
    type: dict
  plan:
    description:
      - A file on the controller with a plan that O(save) wrote; for O(state=begun) and O(state=planned) with
        O(way=apply).
      - It is refused where it does not hold any more, because the specification, the configuration, a secret
        or what runs on a host changed.
    type: path
  save:
    description: A file on the controller that the plan is written to, as JSON; for O(state=planned).
    type: path
attributes:
  check_mode:
    description: Can run in check mode and predict changes without making them.
    support: full
    details: Takes no lock and writes nothing.
  diff_mode:
    description: Tells what changed, or would change, in diff mode.
    support: none
  idempotent:
    description: Changes nothing when run again on the same state.
    support: partial
    details: A roll to what runs already changes no host. Each call is one more deployment in the ledger.
  platform:
    description: The operating systems it works on.
    platforms: debian
    support: full
extends_documentation_fragment:
  - dianrong.cloud._attributes
  - dianrong.cloud._attributes.controller
author:
  - drCloud contributors (@dianrong)
"""

EXAMPLES = r"""
- name: Resolve the tag, take the lock, open the deployment
  dianrong.cloud.rollout:
    state: begun
    app: demo
    tag: rt68
    env: prod
  register: dr_begun
"""

RETURN = r"""
rollout:
  description: The roll, for all other calls.
  returned: when O(state=begun)
  type: dict
hosts:
  description: The hosts of the roll.
  returned: when O(state=begun)
  type: list
  elements: str
first:
  description: Who pulls before the others do.
  returned: when O(state=begun)
  type: list
  elements: str
order:
  description: The hosts that have something to do, in their order.
  returned: when O(state=planned) or O(state=settled)
  type: list
  elements: str
finish:
  description:
    - Those of RV(order) that run the revision already, and where an earlier roll was cut short before the
      commands of the app that follow a switch were known to be done.
  returned: when O(state=planned)
  type: list
  elements: str
serial:
  description: The sizes of the batches.
  returned: when O(state=planned) or O(state=settled)
  type: list
  elements: int
batches:
  description: Which hosts are rolled together with each host.
  returned: when O(state=planned)
  type: dict
steps:
  description: Each host with its batch and rack, what is pulled and done there and why.
  returned: when O(state=planned)
  type: list
  elements: dict
lines:
  description: The same for people, with how many hosts stay in service.
  returned: when O(state=planned)
  type: list
  elements: str
  sample:
    - "batch 1: dk-01 in lab/r1/a01: replace, pulls 4 MiB, runs another revision: image t1 14849d7 -> t2 3d2c"
stable:
  description: The revision of the last deployment that succeeded.
  returned: when O(state=planned)
  type: str
back:
  description: The hosts that go back, each with its roll, for M(dianrong.cloud.app_revert).
  returned: when O(state=settled)
  type: dict
deployment:
  description: The deployment's id.
  returned: when O(state=finished)
  type: str
state:
  description: How the deployment ended.
  returned: when O(state=finished)
  type: str
  sample: succeeded
"""
