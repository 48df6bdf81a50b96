"""A roll from its beginning to its end, as its controller sees it: begin, plan, finish.

The action plugin ``rollout`` is a thin cover of this. Between plan and finish each host has its own
step (``app_switch``), which claims and commits its row in the ledger.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drcloud.cmdb import heartbeat, leases
from drcloud.cmdb.store import Store
from drcloud.delivery import haproxy, ledger
from drcloud.delivery.haproxy import Pool
from drcloud.delivery.ledger import StepRow
from drcloud.delivery.plan import Plan, Prepared, plan
from drcloud.delivery.reasons import explained
from drcloud.delivery.target import Target, find, resolve
from drcloud.errors import DrcloudError, UnreachableError
from drcloud.exitcodes import ExitCode, most_serious

CODES = {"unreachable": ExitCode.UNREACHABLE}


@dataclass(frozen=True, slots=True)
class Begun:
    """A roll that holds its lock. ``deployment`` is empty in check mode, where nothing is written."""

    target: Target
    deployment: str
    token: int


@dataclass(frozen=True, slots=True)
class Report:
    """What preparing a host came to. ``trouble`` is empty where all is well."""

    host: str
    instances: tuple[Mapping[str, Any], ...] = ()
    trouble: str = ""
    unreachable: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a roll ended, in one sentence and with its exit code."""

    state: str
    message: str
    exit_code: ExitCode


def lock_name(app: str, env: str) -> str:
    """Return the name of the lock that a deploy holds."""
    return f"app:{app}@{env}"


def begin(
    store: Store,
    app: str,
    tag: str,
    env: str,
    *,
    only: Sequence[str] = (),
    run: str | None = None,
    controller: int,
    check: bool = False,
) -> Begun:
    """Find everything out, take the locks, and open the deployment; leave nothing behind on failure.

    ``controller`` is the pid of the process that the locks live and die with.
    """
    target = resolve(find(store, app, env, only), tag)
    if check:
        return Begun(target, "", 0)
    uid = str(uuid.uuid4())
    holder = run or uid
    tokens = leases.acquire(
        store, _locks(target), holder=holder, purpose=f"deploy {app} {tag} to {env}", ttl=heartbeat.TTL
    )
    try:
        ledger.open_deployment(store, target, run, uid)
        heartbeat.start(store, holder, controller)
    except BaseException:
        leases.release(store, holder)
        raise
    return Begun(target, uid, tokens[lock_name(app, env)])


def _locks(target: Target) -> list[tuple[str, bool]]:
    """Name the locks: the app alone, its hosts and its pool shared with others that deploy."""
    hosts = [(f"host:{host}", False) for host in target.hosts]
    return [(lock_name(target.app, target.env), True), *hosts, (f"lb:{target.pool}", False)]


def make_plan(
    store: Store | None, begun: Begun, reports: Sequence[Report], pools: Mapping[str, Pool]
) -> Plan:
    """Return the plan, and write it to the ledger; refuse where a host or a balancer is not ready.

    Nothing was touched so far, and nothing will be if this raises.
    """
    _refuse_troubled(store, begun, reports)
    check_pools(begun.target, pools)
    target = begun.target
    hosts = [_prepared(target, report, pools) for report in reports]
    made = plan(
        hosts,
        target.revision,
        batch=target.batch,
        min_in_service=target.min_in_service,
        placed=target.placed,
    )
    made = explained(store, target, made)
    if store is not None and begun.deployment:
        ledger.write_plan(store, begun.deployment, made)
    return made


def check_pools(target: Target, pools: Mapping[str, Pool]) -> None:
    """Raise where a load balancer does not know the pool of the app or one of its servers."""
    servers = [
        haproxy.server_name(host, slot) for host, place in target.hosts.items() for slot in place.slots
    ]
    for lb, pool in pools.items():
        if unknown := haproxy.missing(pool, servers):
            raise DrcloudError(
                f"load balancer {lb} does not know server {unknown[0]} of {target.pool}: "
                "provision it (`drcloud run dianrong.cloud.provision`)"
            )


def _prepared(target: Target, report: Report, pools: Mapping[str, Pool]) -> Prepared:
    mine = [i for i in report.instances if (i["app"], i["env"]) == (target.app, target.env)]
    running = [i for i in mine if i["status"] == "running"]
    # Two run after a crash in mid-switch: the host is not done, whatever they are.
    settled = len(running) == 1 and all(_serves(report.host, running[0], pool) for pool in pools.values())
    return Prepared(
        host=report.host,
        rack=target.hosts[report.host].rack,
        running=running[0]["revision"] if running else None,
        healthy=settled and running[0]["health"] == "healthy",
    )


def _serves(host: str, instance: Mapping[str, Any], pool: Pool) -> bool:
    """Tell whether a balancer sends requests there: a drain that nobody ended is not "nothing to do"."""
    return pool[haproxy.server_name(host, instance["slot"])].in_service


def _refuse_troubled(store: Store | None, begun: Begun, reports: Sequence[Report]) -> None:
    troubled = [report for report in reports if report.trouble]
    if not troubled:
        return
    if store is not None and begun.deployment:
        for report in troubled:
            state: ledger.StepState = "unreachable" if report.unreachable else "failed"
            detail = {"reason": report.trouble}
            ledger.commit(store, begun.deployment, report.host, begun.token, state, detail)
    sentence = "; ".join(f"host {report.host}: {report.trouble}" for report in troubled)
    message = f"nothing was touched, because not every host is ready: {sentence}"
    if all(report.unreachable for report in troubled):
        raise UnreachableError(f"{message}; bring it back, or name the other hosts with `--limit`")
    raise DrcloudError(message)


def finish(store: Store, begun: Begun, run: str | None, trouble: str = "", code: int = 1) -> Verdict:
    """Decide how the roll ended, record it, give the locks back. ``trouble`` stopped it before the roll."""
    try:
        verdict = decide(begun.target, ledger.steps(store, begun.deployment), trouble, ExitCode(code))
        state: Any = verdict.state
        ledger.close(store, begun.deployment, state, verdict.message)
    finally:
        leases.release(store, run or begun.deployment)
    return verdict


def decide(
    target: Target, steps: Sequence[StepRow], trouble: str = "", code: ExitCode = ExitCode.FAILED
) -> Verdict:
    """Return how a roll ended. Pure."""
    what = f"{target.app} {target.tag} in {target.env}"
    if trouble:
        return Verdict("failed", trouble, code)
    bad = [step for step in steps if step.state in ledger.BAD]
    if bad:
        codes = [CODES.get(step.state, ExitCode.FAILED) for step in bad]
        return Verdict("failed", _stopped(what, steps, bad), most_serious(codes))
    open_steps = [step.host for step in steps if step.state in ("pending", "claimed", "skipped")]
    if open_steps:
        message = f"{what}: the roll did not get to {', '.join(open_steps)}; run it again to continue"
        return Verdict("failed", message, ExitCode.FAILED)
    done = [step for step in steps if step.state == "done"]
    if not done:
        return Verdict("nothing-to-do", f"{what}: nothing to do, all {len(steps)} hosts run it", ExitCode.OK)
    return Verdict("succeeded", f"{what}: rolled to {len(done)} of {len(steps)} hosts", ExitCode.OK)


def _stopped(what: str, steps: Sequence[StepRow], bad: Sequence[StepRow]) -> str:
    sentences = [
        f"{step.host} {_ended(step)}: {step.detail.get('reason', 'no reason recorded')}" for step in bad
    ]
    done = [step.host for step in steps if step.state == "done"]
    untouched = [step.host for step in steps if step.state in ("pending", "skipped")]
    new = f"on the new revision: {', '.join(done)}" if done else "no host is on the new revision"
    rest = f"; untouched: {', '.join(untouched)}" if untouched else ""
    return f"{what}: stopped at {'; '.join(sentences)} ({new}{rest})"


def _ended(step: StepRow) -> str:
    if step.state == "reverted":
        return "(back on what it ran before)"
    return "(unreachable)" if step.state == "unreachable" else "(failed)"
