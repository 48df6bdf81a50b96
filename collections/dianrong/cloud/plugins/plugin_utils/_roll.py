# Copyright: (c) 2026, drCloud contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the actions of a roll share: the roll's own document, and the host as the port a switch speaks to."""

from __future__ import annotations

import base64
import contextlib
import functools
import json
import typing as t

from ansible.errors import AnsibleConnectionFailure

from ansible_collections.dianrong.cloud.plugins.plugin_utils import _balancers

try:
    from drcloud.delivery import fingerprints, ledger, observe, rollout, verdict
    from drcloud.delivery import verify as verifying
    from drcloud.delivery.fingerprints import Taken
    from drcloud.delivery.rollout import Begun
    from drcloud.delivery.switch import StepError
    from drcloud.delivery.target import Place, Target
    from drcloud.errors import DrcloudError, InvalidInputError, UnreachableError
except ImportError:
    Begun = None  # ControllerAction says what is missing.

MODULE = "dianrong.cloud.app_container"
KINDS = ("app", "host", "registry")
# Of a result what the module says; Ansible's own parts, as warnings, are no plain data.
SAID = ("changed", "diff", "instances", "pull")


def plain(value: t.Any) -> t.Any:
    """Return a copy without Ansible's tags on strings, for whoever binds it to a database."""
    return json.loads(json.dumps(value))


def document(begun: t.Any) -> dict[str, t.Any]:
    """Return a roll as it travels through Ansible's variables. There is no secret in it."""
    return {
        "target": begun.target.as_document(),
        "deployment": begun.deployment,
        "token": begun.token,
        "budget": begun.budget,
    }


def begun_of(value: t.Mapping[str, t.Any]) -> t.Any:
    """Return the roll that ``document`` made."""
    found = plain(value)
    target = found["target"]
    target["hosts"] = {name: Place(**place) for name, place in target["hosts"].items()}
    target["lbs"] = tuple(target["lbs"])
    target["lbs_away"] = tuple(target["lbs_away"])
    target["hooks"] = tuple(target["hooks"])
    target["secrets"] = {name: Taken(**taken) for name, taken in target["secrets"].items()}
    return Begun(Target(**target), found["deployment"], found["token"], found["budget"])


def stopped_by(store: t.Any, begun: t.Any) -> t.Any:
    """Return the step that the roll stopped at, or None."""
    return verdict.stopped_by(ledger.steps(store, begun.deployment), begun.budget)


class Front:
    """The load balancers of a roll: found and connected at the first question, and once.

    ``last`` is what all of them said last, or None.
    """

    def __init__(self, action: t.Any, begun: t.Any, task_vars: t.Mapping[str, t.Any]) -> None:
        self._given = action, begun.target.pool, begun.target.lbs, task_vars, begun.token
        self.last: dict[str, t.Any] | None = None

    @functools.cached_property
    def balancers(self) -> t.Any:
        """Return them; BalancerError where one is not in the inventory."""
        return _balancers.connect(*self._given)

    def seen(self) -> dict[str, t.Any] | None:
        """Return what all of them say now, or None where one is silent."""
        try:
            self.last = self.balancers.pools()
        except StepError:
            self.last = None
        return self.last


def record_fallen(store: t.Any, begun: t.Any, pools: t.Any, kind: str = "app") -> list[str]:
    """Record which hosts were switched and no longer serve; a load balancer that is silent tells of none.

    The app is taken for the cause until the host itself was asked.
    """
    if pools is None:
        return []
    found = rollout.fallen(begun, ledger.steps(store, begun.deployment), pools)
    for host, reason in found.items():
        detail = {"reason": reason, "kind": kind, "fell": True}
        ledger.fail(store, begun.deployment, host, begun.token, "failed", detail)
    return list(found)


def verify(action: t.Any, store: t.Any, begun: t.Any, name: str, task_vars: dict[str, t.Any]) -> str:
    """Look whether a switched host still runs what it was switched to; trouble goes to the ledger."""
    step = next(step for step in ledger.steps(store, begun.deployment) if step.host == name)
    look = _look(Host(action, begun, name, task_vars), store, begun, name)
    found = verifying.judge(step, look.whose, look.trouble)
    if found is not None:
        detail = {"reason": found.reason, "kind": found.kind, "logs": look.logs}
        ledger.fail(store, begun.deployment, name, begun.token, found.state, detail, verifying.DUE)
        if found.state == "unreachable":
            _drain(Front(action, begun, task_vars), begun.target, name)
    return found.reason if found is not None else ""


def _drain(front: Front, target: t.Any, name: str) -> None:
    """Keep requests from a host that does not answer; a silent load balancer is told by the next roll."""
    pools = front.seen()
    if pools and (lines := rollout.drain_lost(target, [name], pools)):
        with contextlib.suppress(StepError):
            front.balancers.tell(lines)


class Look(t.NamedTuple):
    """What a look at a host came to: whose trouble it is and what, or nothing, and the app's last lines."""

    whose: str
    trouble: str
    logs: list[str]


def _look(host: Host, store: t.Any, begun: t.Any, name: str) -> Look:
    """Look, and where something is wrong once more, for what the app itself has to say of it."""
    what = begun.target.app, begun.target.env, begun.target.revision
    try:
        instances = host.observe()
    except UnreachableError as error:
        return Look("unreachable", str(error), [])
    except DrcloudError as error:
        return Look(str(getattr(error, "kind", "host")), str(error), [])
    observe.record(store, name, instances, "deploy")
    trouble = verifying.trouble(instances, *what)
    if not trouble:
        return Look("app", "", [])
    said, logs = verifying.last_words(_listened(host), *what)
    return Look("app", f"{trouble}: {said}" if said else trouble, logs)


def _listened(host: Host) -> list[dict[str, t.Any]]:
    """Return what the app has to say; a host that cannot be asked again changes nothing of what was seen."""
    try:
        return host.listen()
    except DrcloudError:
        return []


class Host:
    """The host of the running task. Each method is one run of the module ``app_container`` there."""

    def __init__(self, action: t.Any, begun: t.Any, name: str, task_vars: dict[str, t.Any]) -> None:
        self._action = action
        self._begun = begun
        self._name = name
        self._task_vars = task_vars

    def prepare(self) -> dict[str, t.Any]:
        """Pull and check; return all that the module says."""
        return self.run(self.arguments("prepared"))

    def observe(self) -> list[dict[str, t.Any]]:
        """Look, and ask the instances of the app for their health."""
        return self.module("observed")

    def listen(self) -> list[dict[str, t.Any]]:
        """Look, and take down what is wrong with the new instance and its last lines, without its secrets.

        StepError where those are not what the roll began with any more: nobody could hide them then.
        """
        return self.module("observed", words=True, **self.secrets())

    def start(self, slot: str) -> list[dict[str, t.Any]]:
        """Start and wait for health."""
        return self.module("started", slot)

    def hook(self, hook: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
        """Run a command of the app and wait until it has ended."""
        return self.module("hooked", hook={name: hook[name] for name in ("command", "timeout")})

    def stop(self, slot: str) -> list[dict[str, t.Any]]:
        """Stop and keep."""
        return self.module("stopped", slot)

    def remove(self, slot: str) -> list[dict[str, t.Any]]:
        """Remove."""
        return self.module("absent", slot)

    def module(self, state: str, slot: str | None = None, **more: t.Any) -> list[dict[str, t.Any]]:
        """Run the module and return the instances; failures come as the errors of a switch."""
        arguments = {**self.arguments(state), **more}
        if slot is not None:
            arguments["slot"] = slot
        found: list[dict[str, t.Any]] = self.run(arguments)["instances"]
        return found

    def run(self, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        """Run the module and return what it says itself; failures come as the errors of a switch."""
        try:
            result = self._action._execute_module(
                module_name=MODULE, module_args=arguments, task_vars=self._task_vars
            )
        except AnsibleConnectionFailure as error:
            raise UnreachableError(_no_answer(str(error))) from error
        if result.get("unreachable"):
            raise UnreachableError(_no_answer(str(result.get("msg", ""))))
        if result.get("failed") or "instances" not in result:
            kind = result.get("kind")
            message = str(result.get("msg") or "the module ended without a result")
            raise StepError(
                _sentence(message), kind if kind in KINDS else "host", plain(result.get("logs") or [])
            )
        return plain({name: result[name] for name in SAID if name in result})

    def arguments(self, state: str) -> dict[str, t.Any]:
        """Return the options of the module for this roll."""
        target = self._begun.target
        place = target.hosts[self._name]
        return {
            "state": state,
            "app": target.app,
            "env": target.env,
            "image": target.image,
            "tag": target.tag,
            "revision": target.revision,
            "deployment": self._begun.deployment,
            "host": self._name,
            "address": place.address,
            "slots": place.slots,
            "adopted": place.takes_over,
            "spec": target.spec,
            "token": self._begun.token,
            **({"layers": target.layers} if state == "prepared" else {}),
            **(self.secrets() if state in ("started", "hooked") else {}),
        }

    def secrets(self) -> dict[str, dict[str, str]]:
        """Return the secrets by how the app gets them, for module options that are never logged.

        They travel as base64, so that what Ansible hides in a result is no word that stands there anyway.
        """
        target = self._begun.target
        found: dict[str, dict[str, str]] = {"secrets": {}, "secret_env": {}}
        for name, taken in target.secrets.items():
            try:
                text = fingerprints.unchanged(target.app, target.env, name, taken)
            except InvalidInputError as error:
                raise StepError(str(error), "app") from error
            option = "secrets" if taken.expose == "file" else "secret_env"
            found[option][name] = base64.b64encode(text.encode("utf-8")).decode("ascii")
        return found


def _no_answer(text: str) -> str:
    """Return what SSH said, without what Ansible wraps around it and what ProxyJump hides."""
    words = _sentence(text).rpartition("can be reached over ssh:")[2].strip()
    return (
        f"it does not answer over SSH ({words.partition(' Connection to UNKNOWN')[0] or 'nothing was said'})"
    )


def _sentence(text: str) -> str:
    return " ".join(text.split())[:500]
