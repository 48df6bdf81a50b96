# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load balancers from inside an action: one line to the admin socket costs one SSH round trip.

A module on a delegated host costs a quarter of a second, and a roll asks the load balancers dozens of times.
So the action opens a connection to each of them with Ansible's own connection and become plugins, and asks
all of them at the same time: most of a round trip is waiting.
"""

from __future__ import annotations

import os
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible import constants as C
from ansible.errors import AnsibleError
from ansible.plugins.loader import become_loader

try:
    from drcloud.cmdb import hosts
    from drcloud.delivery import haproxy, maintenance
    from drcloud.delivery.switch import BalancerError
except ImportError:
    hosts = haproxy = maintenance = None  # ControllerAction says what is missing.

# Of the role load_balancer.
SAY = "/usr/local/lib/drcloud/haproxy-say"
PAGE = "/usr/local/lib/drcloud/haproxy-maintenance"
# What a shell returns for a command that is not there.
NOT_FOUND = 127
# What the script says between the answers to changes and the answer to the question that came with them.
ASKED = "# asked"


class Balancer:
    """The HAProxy of one load balancer."""

    def __init__(self, name: str, connection: t.Any, become: t.Any) -> None:
        self.name = name
        self._connection = connection
        self._become = become

    def ask(self, line: str) -> str:
        """Return the answer to a line, also that of processes which a reload replaced."""
        return self._run(f"{SAY} ask", line)

    def change(self, lines: t.Sequence[str], question: str = "", fence: str = "") -> str:
        """Send lines that change something, and return the answer to a question that is asked right after.

        The change is kept on the load balancer's disk before this returns. With a ``fence``, pool and token,
        it is refused where a newer operation on that pool was there.
        """
        parts = [f"fence {fence}" if fence else "", "; ".join(lines), question]
        said = self._run(f"{SAY} change", "\n".join(part for part in parts if part))
        told, asked, answer = said.partition(f"{ASKED}\n")
        # HAProxy answers a command that worked with an empty line.
        if words := " ".join(told.split()):
            raise BalancerError(f"load balancer {self.name}: {_short(words)}")
        if question and not asked:
            raise BalancerError(f"load balancer {self.name} has an older {SAY}: provision it first")
        return answer

    def page(self, verb: str, pool: str) -> t.Any:
        """Put a pool into maintenance (C(on)), back (C(off)) or only C(ask); return what it does then."""
        try:
            return maintenance.parse(pool, self._run(f"{PAGE} {verb}", pool))
        except ValueError as error:
            raise BalancerError(f"load balancer {self.name}: {error}") from error

    def _run(self, command: str, line: str) -> str:
        """Run a command there and return what it said; BalancerError where that cannot be."""
        program = command.split(maxsplit=1)[0]
        if self._become is not None:
            command = self._become.build_become_command(command, self._connection._shell)
        try:
            rc, out, err = self._connection.exec_command(command, in_data=f"{line}\n".encode(), sudoable=True)
        except AnsibleError as error:
            raise BalancerError(f"load balancer {self.name} does not answer: {_short(str(error))}") from error
        if rc == NOT_FOUND:
            raise BalancerError(f"load balancer {self.name} has no {program}: provision it first")
        if rc != 0:
            words = _short(err.decode("utf-8", "replace") or f"exit code {rc}")
            raise BalancerError(f"load balancer {self.name} does not take commands: {words}")
        said = out.decode("utf-8", "replace").splitlines()
        return "\n".join(words for words in said if not words.startswith("BECOME-SUCCESS-"))


class Balancers:
    """All load balancers in front of a pool; the port that a switch speaks to."""

    def __init__(self, pool: str, balancers: t.Sequence[Balancer], token: int = 0) -> None:
        self._pool = pool
        self._fence = f"{pool} {token}" if token else ""
        self._balancers = list(balancers)

    def under(self, token: int) -> Balancers:
        """Return the same for who holds a lock: refused are those who held it before."""
        return Balancers(self._pool, self._balancers, token)

    def pools(self) -> dict[str, t.Any]:
        """Return what each load balancer says of the pool."""
        return _all(*self.each(self._ask))

    def answers(self) -> dict[str, t.Any]:
        """Return what each load balancer says of the pool, or the BalancerError of one that does not."""
        found, failures = self.each(self._ask)
        return {**found, **failures}

    def tell(self, lines: t.Sequence[str]) -> dict[str, t.Any]:
        """Send lines to every load balancer and return what each says of the pool then.

        All of them are told before the first failure is raised.
        """
        question = haproxy.ask(self._pool)
        return _all(*self.each(lambda one: self._parsed(one, one.change(lines, question, self._fence))))

    def tell_each(self, lines: t.Mapping[str, t.Sequence[str]]) -> dict[str, t.Any]:
        """Send each load balancer its lines; return the BalancerError of those that did not take them."""
        return self.each(lambda balancer: balancer.change(lines[balancer.name], fence=self._fence))[1]

    def each(self, act: t.Callable[[Balancer], t.Any]) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
        """Do something with every load balancer at once; return the answers, and the errors of who gave none.

        Each has a connection of its own, so that threads do not meet.
        """
        found: dict[str, t.Any] = {}
        failures: dict[str, t.Any] = {}
        with ThreadPoolExecutor(max_workers=max(1, len(self._balancers))) as threads:
            begun = [(balancer.name, threads.submit(act, balancer)) for balancer in self._balancers]
            for name, answer in begun:
                try:
                    found[name] = answer.result()
                except BalancerError as error:
                    failures[name] = error
        return found, failures

    def _ask(self, balancer: Balancer) -> t.Any:
        return self._parsed(balancer, balancer.ask(haproxy.ask(self._pool)))

    def _parsed(self, balancer: Balancer, answer: str) -> t.Any:
        try:
            return haproxy.parse(self._pool, answer)
        except ValueError as error:
            raise BalancerError(f"load balancer {balancer.name}: {error}") from error


def connect(
    action: t.Any, pool: str, names: t.Sequence[str], task_vars: t.Mapping[str, t.Any], token: int = 0
) -> Balancers:
    """Return the load balancers of a pool, connected through their own variables.

    ``token`` is the fencing token of who holds the lock; 0 stands for a person who acts by hand.
    """
    return Balancers(pool, [_balancer(action, name, task_vars) for name in names], token)


def in_front(pool: str, task_vars: t.Mapping[str, t.Any]) -> dict[str, dict[str, t.Any]]:
    """Return the load balancers in service that have a pool, each with what it is to serve."""
    return {lb: found for lb, found in _declared(task_vars) if found["name"] == pool}


def of_hosts(
    names: t.Collection[str], task_vars: t.Mapping[str, t.Any]
) -> dict[str, dict[str, dict[str, t.Any]]]:
    """Return the pools that any of these hosts is a member of, by name and by load balancer in service."""
    pools: dict[str, dict[str, dict[str, t.Any]]] = {}
    for lb, found in _declared(task_vars):
        if any(member["host"] in names for member in found["members"]):
            pools.setdefault(str(found["name"]), {})[lb] = found
    return pools


def _declared(task_vars: t.Mapping[str, t.Any]) -> t.Iterator[tuple[str, dict[str, t.Any]]]:
    """Yield each pool of each load balancer of the inventory that nobody declared out of service."""
    variables = task_vars["hostvars"]
    for lb in sorted(task_vars["groups"].get("role_lb", [])):
        if not hosts.is_away(variables[lb].get("dr_state", "")):
            for found in variables[lb].get("dr_lb_pools", []):
                yield str(lb), found


def _balancer(action: t.Any, name: str, task_vars: t.Mapping[str, t.Any]) -> Balancer:
    if name not in task_vars["hostvars"]:
        raise BalancerError(f"load balancer {name} is not in the inventory")
    variables = task_vars["hostvars"][name]
    context = action._play_context.copy()
    context.remote_addr = variables.get("ansible_host", name)
    connection, _context = action._shared_loader_obj.connection_loader.get_with_context(
        variables.get("ansible_connection", "ssh"),
        context,
        new_stdin=None,
        task_uuid=action._task._uuid,
        ansible_playbook_pid=str(os.getppid()),
    )
    become = _become(variables)
    connection.set_become_plugin(become)
    connection.set_options(
        task_keys={"timeout": context.timeout}, var_options=_options("connection", connection, variables)
    )
    connection._shell.set_options(var_options=_options("shell", connection._shell, variables))
    return Balancer(name, connection, become)


def _become(variables: t.Mapping[str, t.Any]) -> t.Any:
    """Return the way to root on a load balancer, or None where one logs in as root."""
    if variables.get("ansible_user") == "root":
        return None
    plugin = become_loader.get(variables.get("ansible_become_method", C.DEFAULT_BECOME_METHOD))
    plugin.set_options(task_keys={"become_user": "root"}, var_options=_options("become", plugin, variables))
    return plugin


def _options(kind: str, plugin: t.Any, variables: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {
        name: variables[name]
        for name in C.config.get_plugin_vars(kind, plugin._load_name)
        if name in variables
    }


def _all(found: dict[str, t.Any], failures: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return the answers, or raise the first failure."""
    for error in failures.values():
        raise error
    return found


def _short(text: str) -> str:
    return " ".join(text.split())[:300]
