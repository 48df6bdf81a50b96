# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the documentation of the cmdb_* modules shares."""

from __future__ import annotations


class ModuleDocFragment:
    """``dianrong.cloud._cmdb`` and its named parts."""

    # For what writes.
    DOCUMENTATION = r"""
options:
  cmdb_url:
    description:
      - The CMDB's database as an SQLAlchemy URL. May hold C(${NAME}) of the environment.
      - Without it, the one that E(DRCLOUD_CMDB_URL) names, else the user's own SQLite file.
    type: str
  reason:
    description:
      - Why, for the change log.
    type: str
    required: true
  ticket:
    description:
      - The change ticket, for the change log, and for policy where it wants an open change.
      - Without it, the one that E(DRCLOUD_TICKET) names.
    type: str
attributes:
  action_group:
    description: C(module_defaults) can give options to all modules of the group at once.
    support: full
    membership:
      - dianrong.cloud.cmdb
"""

    # For what only reads.
    READING = r"""
options:
  cmdb_url:
    description:
      - The CMDB's database as an SQLAlchemy URL. May hold C(${NAME}) of the environment.
      - Without it, the one that E(DRCLOUD_CMDB_URL) names, else the user's own SQLite file.
    type: str
  reason:
    description:
      - Not used. It is here because C(module_defaults) of the action group gives it to all modules.
    type: str
  ticket:
    description:
      - Not used. It is here because C(module_defaults) of the action group gives it to all modules.
    type: str
attributes:
  action_group:
    description: C(module_defaults) can give options to all modules of the group at once.
    support: full
    membership:
      - dianrong.cloud.cmdb
"""

    VERSION = r"""
options:
  version:
    description:
      - Do nothing unless the CMDB still holds this version of the object, as M(dianrong.cloud.cmdb_info)
        returned it. Another version is an error that names both.
    type: int
"""

    STATE = r"""
options:
  state:
    description:
      - Whether the object is declared. What belongs to an object goes with it; one that others refer to
        stays,
        and that is an error.
    type: str
    choices: [present, absent]
    default: present
"""
