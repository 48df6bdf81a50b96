"""A roll from its beginning to its end, as its controller sees it: begin, plan, finish.

The action plugin ``rollout`` is a thin cover of this. Between plan and finish each host has its own
step (``app_switch``), which claims and commits its row in the ledger.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from drcloud.cmdb import heartbeat, leases
from drcloud.cmdb.store import Store
from drcloud.delivery import haproxy, ledger, owed, quarantine, saved, stable
from drcloud.delivery.difference import differences
from drcloud.delivery.haproxy import Pool
from drcloud.delivery.ledger import StepRow
from drcloud.delivery.plan import Plan, Prepared, Pull, plan
from drcloud.delivery.platforms import WrongPlatformError
from drcloud.delivery.saved import SavedPlan
from drcloud.delivery.slots import ADOPTED, LIVE
from drcloud.delivery.target import Target, Wanted, find, measured, recorded, resolve
from drcloud.delivery.target import target as of_digest
from drcloud.delivery.verdict import Verdict, decide
from drcloud.delivery.wish import Wish
from drcloud.errors import DrcloudError, InvalidInputError, NotFoundError, UnreachableError
from drcloud.exitcodes import ExitCode


@dataclass(frozen=True, slots=True)
class Begun:
    """A roll that holds its lock. ``deployment`` is empty in check mode, where nothing is written.

    ``budget`` is how many hosts may be lost before the roll stops.
    """

    target: Target
    deployment: str
    token: int
    budget: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """What preparing a host came to. ``trouble`` is empty where all is well, ``kind`` says whose it is."""

    host: str
    instances: tuple[Mapping[str, Any], ...] = ()
    trouble: str = ""
    unreachable: bool = False
    kind: str = "host"
    pull: Pull | None = None


# What is left where the ledger knows a revision and finds no other difference.
ONLY_LEFT = "a secret changed"


def lock_name(app: str, env: str) -> str:
    """Return the name of the lock that a deploy holds."""
    return f"app:{app}@{env}"


def begin(store: Store, wish: Wish, *, run: str | None = None, controller: int, check: bool = False) -> Begun:
    """Find everything out, take the locks, and open the deployment; leave nothing behind on failure.

    ``controller`` is the pid of the process that the locks live and die with.
    """
    target, kind = aim(store, wish)
    if wish.watch is not None:
        target = replace(target, canary_watch=wish.watch)
    if check:
        return Begun(target, "", 0, wish.budget)
    uid = str(uuid.uuid4())
    holder = run or uid
    purpose = f"{kind} {target.app} {target.tag} to {target.env}"
    tokens = leases.acquire(store, _locks(target), holder=holder, purpose=purpose, ttl=heartbeat.TTL)
    try:
        ledger.open_deployment(store, target, run, uid, kind)
        heartbeat.start(store, holder, controller)
    except BaseException:
        leases.release(store, holder)
        raise
    return Begun(target, uid, tokens[lock_name(target.app, target.env)], wish.budget)


def aim(store: Store, wish: Wish) -> tuple[Target, str]:
    """Return what a wish comes to, and its kind; a rollback or a resume is not held up by a registry."""
    if wish.way == "apply":
        return _of_plan(store, wish), stable.DEPLOY
    wanted = find(store, wish.app, wish.env, wish.only)
    if wish.way == "deploy":
        return resolve(wanted, wish.tag), stable.DEPLOY
    what, past = f"{wish.app} in {wish.env}", stable.recorded(store, wish.app, wish.env)
    if wish.way == "current":
        present = stable.present(past, what)
        return _as_known(wanted, of_digest(wanted, present.tag, present.digest)), stable.DEPLOY
    if wish.way == "rollback":
        back = recorded(store, wanted, stable.back(past, what, wish.tag or None))
        return _as_known(wanted, back), stable.ROLLBACK
    found = stable.unfinished(past, what)
    if not wish.only:
        wanted = find(store, wish.app, wish.env, _still_there(store, found.deployment, wanted.hosts, what))
    return _as_known(wanted, recorded(store, wanted, found)), found.kind


def _as_known(wanted: Wanted, found: Target) -> Target:
    """Return a target with what the registry says of it, or as it is where that says nothing.

    The image of a rollback is on its hosts already, and a registry that is down keeps nobody from going back.
    """
    try:
        return measured(wanted, found, quick=True)
    except WrongPlatformError:
        raise
    except DrcloudError:
        return found


def _still_there(store: Store, uid: str, there: Iterable[str], what: str) -> list[str]:
    """Return the hosts of a deployment that still take part, for a resume goes over no others."""
    mine = {step.host for step in ledger.steps(store, uid)}
    if left := [host for host in there if host in mine]:
        return left
    raise NotFoundError(
        f"none of the hosts of the last deployment of {what} takes part any more: deploy again"
    )


def _of_plan(store: Store, wish: Wish) -> Target:
    plan = saved.load(wish.plan)
    if (plan.app, plan.env) != (wish.app, wish.env):
        raise InvalidInputError(
            f"the plan {wish.plan} is for {plan.app} in {plan.env}, not for {wish.app} in {wish.env}"
        )
    wanted = find(store, plan.app, plan.env, [step.host for step in plan.steps])
    return measured(wanted, saved.goal(plan, wanted))


def _locks(target: Target) -> list[tuple[str, bool]]:
    """Name the locks: the app alone, its hosts and its pool shared with others that deploy."""
    hosts = [(f"host:{host}", False) for host in target.hosts]
    return [(lock_name(target.app, target.env), True), *hosts, (f"lb:{target.pool}", False)]


def make_plan(
    store: Store | None,
    begun: Begun,
    reports: Sequence[Report],
    pools: Mapping[str, Pool],
    expected: SavedPlan | None = None,
) -> Plan:
    """Return the plan, and write it to the ledger; refuse where a host or a balancer is not ready.

    It is refused too where it is not the ``expected`` one. Nothing was touched so far, and nothing will be
    if this raises.
    """
    _refuse_troubled(store, begun, reports)
    check_pools(begun.target, pools)
    target, here = begun.target, [report for report in reports if not report.trouble]
    changes = _changes(store, target, here) if store is not None else {}
    prepared = [_prepared(target, report, pools, changes) for report in here]
    made = plan(
        _owing(store, begun, prepared),
        target.revision,
        batch=target.batch,
        min_in_service=target.min_in_service,
        placed=_counting(
            target, [report.host for report in here], [report.host for report in reports], pools
        ),
        spans_racks=target.spans_racks,
        budget=max(0, begun.budget - (len(reports) - len(here))),
    )
    if expected is not None:
        saved.require(expected, made)
    if store is not None and begun.deployment:
        ledger.write_plan(store, begun.deployment, made)
    return made


def _counting(
    target: Target, rolled: Collection[str], asked: Collection[str], pools: Mapping[str, Pool]
) -> int:
    """Return how many hosts a batch may count on: those that are rolled, and the others that serve now.

    A host that somebody drained, or that is down, holds nobody's place. Without a load balancer nobody can be
    asked, and the placement's word is taken.
    """
    if not pools:
        return target.placed - (len(asked) - len(rolled))
    serving = frozenset.intersection(*(haproxy.hosts_in_service(pool) for pool in pools.values()))
    return len(rolled) + len(serving.difference(asked))


def drain_lost(target: Target, lost: Iterable[str], pools: Mapping[str, Pool]) -> list[str]:
    """Return the lines that keep requests from hosts that did not answer, also when they come back.

    One that still serves is spared where too few others would: it may be SSH alone that is lost.
    """
    drained: list[str] = []
    for host in lost:
        serves = any(host in haproxy.hosts_in_service(pool) for pool in pools.values())
        if not serves or haproxy.shortage(pools, [*drained, host], target.min_in_service) is None:
            drained.append(host)
    return [
        haproxy.put(target.pool, haproxy.server_name(host, slot), "drain")
        for host in drained
        for slot in target.hosts[host].slots
    ]


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


def _changes(store: Store, target: Target, reports: Sequence[Report]) -> dict[str, tuple[str, ...]]:
    """Return what the new revision changes, by the revision that runs, where the ledger knows that one."""
    seen = {found["revision"] for report in reports for found in _live(target, report)}
    past = stable.recorded(store, target.app, target.env)
    known = {item.revision: item for item in past if item.revision in seen - {target.revision}}
    wanted = find(store, target.app, target.env, list(target.hosts)) if known else None
    return {
        revision: tuple(differences(recorded(store, wanted, item), target)) or (ONLY_LEFT,)
        for revision, item in known.items()
        if wanted is not None
    }


def _live(target: Target, report: Report) -> list[Mapping[str, Any]]:
    mine = [i for i in report.instances if (i["app"], i["env"]) == (target.app, target.env)]
    return [i for i in mine if i["status"] in LIVE]


def _prepared(
    target: Target, report: Report, pools: Mapping[str, Pool], changes: Mapping[str, tuple[str, ...]]
) -> Prepared:
    running = _live(target, report)
    # Two run after a crash in mid-switch: the host is not done, whatever they are.
    settled = len(running) == 1 and all(_serves(report.host, running[0], pool) for pool in pools.values())
    return Prepared(
        host=report.host,
        rack=target.hosts[report.host].rack,
        running=running[0]["revision"] if running else None,
        healthy=settled and (running[0]["status"], running[0]["health"]) == ("running", "healthy"),
        changes=changes.get(running[0]["revision"], ()) if running else (),
        pull=report.pull,
        by_hand=tuple(running[0].get("differs") or ()) if running else (),
    )


def _owing(store: Store | None, begun: Begun, hosts: Sequence[Prepared]) -> list[Prepared]:
    """Mark the hosts on which commands of the app are owed; what is to be run once is, on the first."""
    if store is None:
        return list(hosts)
    found = owed.read(store, begun.target, begun.deployment)
    marked = [replace(host, owed=host.host in found.hosts) for host in hosts]
    idle = all(host.healthy and host.running == begun.target.revision and not host.owed for host in marked)
    if found.roll and idle and marked:
        marked[0] = replace(marked[0], owed=True)
    return marked


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
            detail = {"reason": report.trouble, "kind": report.kind}
            ledger.commit(store, begun.deployment, report.host, begun.token, state, detail)
    lost = [report for report in troubled if report.unreachable]
    if len(lost) == len(troubled) <= begun.budget < len(reports):
        return
    raise _not_ready(troubled)


def _not_ready(troubled: Sequence[Report]) -> DrcloudError:
    """Return what keeps a roll from beginning: a registry that fails is not the fault of its hosts."""
    sentence = "; ".join(f"host {report.host}: {report.trouble}" for report in troubled)
    message = f"nothing was touched, because not every host is ready: {sentence}"
    if all(report.unreachable for report in troubled):
        return UnreachableError(f"{message}; bring it back, or name the other hosts with `--limit`")
    if all(report.kind == "registry" for report in troubled):
        return UnreachableError(
            f"nothing was touched, because the registry failed: {sentence}; deploy again when it serves them"
        )
    if all(report.unreachable or report.kind == "registry" for report in troubled):
        return UnreachableError(message)
    return DrcloudError(message)


def finish(store: Store, begun: Begun, run: str | None, trouble: str = "", code: int = 1) -> Verdict:
    """Decide how the roll ended, record it, give the locks back. ``trouble`` stopped it before the roll."""
    try:
        steps = ledger.steps(store, begun.deployment)
        verdict = decide(begun.target, steps, trouble, ExitCode(code), begun.budget)
        state: Any = verdict.state
        ledger.close(store, begun.deployment, state, verdict.message)
        if not trouble:
            quarantine.settle(store, begun.deployment, steps)
    finally:
        leases.release(store, run or begun.deployment)
    return verdict


def fallen(begun: Begun, steps: Sequence[StepRow], pools: Mapping[str, Pool]) -> dict[str, str]:
    """Return the hosts that were switched and no longer serve, each with where that shows."""
    done = [step.host for step in steps if step.state == "done"]
    return {
        host: f"fell out of service at load balancer {lb} after it was switched"
        for lb, pool in sorted(pools.items(), reverse=True)
        for host in done
        if host not in haproxy.hosts_in_service(pool)
    }


def way_back(store: Store, begun: Begun) -> dict[str, Begun]:
    """Return the hosts that are to be put back, each with the revision it goes back to.

    Only the failure of an app is a reason: another image can mend it. A host, a registry or a load balancer
    that fails stops the roll, and what was rolled stays. A rollback is never rolled back.
    """
    target = begun.target
    past = stable.recorded(store, target.app, target.env)
    mine = next(item for item in past if item.deployment == begun.deployment)
    steps = ledger.steps(store, begun.deployment)
    if mine.kind == stable.ROLLBACK or not any(_is_app_failure(step) for step in steps):
        return {}
    proven = any(item.is_stable and item.revision == target.revision for item in past)
    wanted = find(store, target.app, target.env, list(target.hosts))
    back = [step for step in steps if _is_on_it(step, proven=proven)]
    goals = {
        step.host: stable.of_host(past, step.previous, target.revision)
        for step in back
        if step.previous != ADOPTED
    }
    return {
        **{
            step.host: Begun(replace(target, revision=ADOPTED, tag=ADOPTED), begun.deployment, begun.token)
            for step in back
            if step.previous == ADOPTED
        },
        **{
            host: Begun(recorded(store, wanted, goal), begun.deployment, begun.token)
            for host, goal in goals.items()
            if goal is not None
        },
    }


def back_at_once(target: Target) -> int:
    """Return how many hosts are put back at a time: no more than may leave service, should they fail too."""
    return max(1, min(target.batch, target.placed - target.min_in_service))


def _is_on_it(step: StepRow, *, proven: bool) -> bool:
    """Tell whether a host may run what failed; ``unchanged`` ones got it from a deployment cut short."""
    if step.state == "unchanged":
        return not proven
    return step.state == "done" or (step.state == "failed" and _is_app_failure(step))


def _is_app_failure(step: StepRow) -> bool:
    return step.state in ("failed", "reverted") and step.detail.get("kind") == "app"
