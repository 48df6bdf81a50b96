# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option where of an inventory source: the hosts for which an expression is true."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleParserError

try:
    from drcloud.cmdb import expressions
    from drcloud.errors import InvalidInputError
except ImportError:
    pass  # the inventory plugin says what is missing


class Where:
    """Tells whether a host stays, from its name and its variables.

    What drCloud compiles to Python is evaluated here, everything else by ansible-core, with the same outcome.
    Raises ``AnsibleParserError`` for an expression that does not parse or, if strict, that fails on a host.
    """

    def __init__(self, templar: t.Any, text: str, strict: bool) -> None:
        self._templar, self._text, self._strict = templar, text, strict
        try:
            self._compiled = expressions.compile("".join([text]))
        except InvalidInputError as error:
            raise AnsibleParserError(f"option where: {error}") from error

    @property
    def is_plain(self) -> bool:
        """Whether the outcome follows from a host's variables alone, and so may be remembered."""
        return self._compiled is not None

    def __call__(self, name: str, variables: dict[str, t.Any]) -> bool:
        """Tell whether the host stays."""
        known = {**variables, "inventory_hostname": name, "inventory_hostname_short": name.partition(".")[0]}
        try:
            return self._evaluate(known)
        except Exception as error:
            if self._strict:
                raise AnsibleParserError(
                    f"option where: cannot tell whether host {name} is meant by {self._text}: {error}"
                ) from error
            return False

    def _evaluate(self, variables: dict[str, t.Any]) -> bool:
        if self._compiled is not None:
            try:
                value = self._compiled(variables)
            except Exception:  # noqa: S110 - whatever it is, ansible-core says it in its own words
                pass
            else:
                if isinstance(value, bool):
                    return value
        self._templar.available_variables = variables
        return bool(self._templar.evaluate_conditional(self._text))
