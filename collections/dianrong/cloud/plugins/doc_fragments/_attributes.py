# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shared options, attributes and requirements of the documentation."""

from __future__ import annotations


class ModuleDocFragment:
    """``dianrong.cloud._attributes`` and its named parts."""

    # What every module declares; one that differs overrides the entry.
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and predict changes without making them.
    support: full
  diff_mode:
    description: Tells what changed, or would change, in diff mode.
    support: full
  idempotent:
    description: Changes nothing when run again on the same state.
    support: full
  platform:
    description: The operating systems it works on.
    platforms: debian
    support: full
"""

    # For what never changes anything.
    INFO = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode; it never changes anything.
    support: full
  diff_mode:
    description: Tells what changed, or would change, in diff mode.
    support: N/A
    details: It never changes anything.
  idempotent:
    description: Changes nothing when run again on the same state.
    support: full
  platform:
    description: The operating systems it works on.
    platforms: debian
    support: full
"""

    # For what runs on the controller and asks the CMDB.
    CONTROLLER = r"""
options: {}
requirements:
  - The Python package C(drcloud) of the same version as this collection, in the Python that runs Ansible.
notes:
  - The CMDB is the one that E(DRCLOUD_CMDB_URL) names, else the user's own SQLite file.
"""
