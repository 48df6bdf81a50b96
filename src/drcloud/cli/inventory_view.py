"""The inventory of a source for ``explain`` and ``diff``: computed here, or by Ansible where only it can."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from drcloud.cli import ansible_inventory
from drcloud.cmdb import assembly, construction, difference, explanation, history, inventory
from drcloud.cmdb.assembly import Wanted
from drcloud.cmdb.construction import NeedsAnsibleError, Rules, same_group
from drcloud.cmdb.declared import HOST_STATES
from drcloud.cmdb.difference import Difference
from drcloud.cmdb.explanation import Explanation, Reason
from drcloud.cmdb.inventory import Inventory
from drcloud.cmdb.lookup import meant
from drcloud.cmdb.options import FIELDS, Options
from drcloud.cmdb.selection import Selection
from drcloud.cmdb.sourcefile import SourceFile
from drcloud.cmdb.store import Store
from drcloud.errors import NotFoundError, NothingMatchedError

Contents = tuple[Mapping[str, Mapping[str, Any]], Mapping[str, set[str]]]
# Variables of all hosts are told once, as those of the group that all are in.
ALL = "all"


def explain(source: SourceFile, host: str, group: str) -> Explanation:
    """Explain why a host is in a group of a source's inventory, or why it is not.

    ``NotFoundError`` for a host that the CMDB does not have, ``NothingMatchedError`` for a group that no rule
    makes.
    """
    store, rules = Store.open(source.url), source.rules()
    options = replace(source.options, fields=FIELDS, allow_empty=True)
    found, unsure = _built(store, options, rules)
    label = found.labels.get(host, host)
    if label not in found.hosts:
        return _left_out(store, found, options, rules, told=Explanation(host, group))
    told = explanation.explain(found, options, rules, label, group)
    told.unknown += unsure
    if group == ALL:
        told.because.append(Reason("ansible-core", "every host is in it"))
    if not told.because:
        _refuse_unknown(rules, group, found)
    if told.unknown and (unsure or not told.because) and source.path is not None:
        _ask_ansible(told, source)
    return told


def diff(source: SourceFile, before: str, after: str) -> Difference:
    """Compare the inventories of a source at two times; drift has no past and is left out."""
    store = Store.open(source.url)
    with store.read() as session:
        moments = history.resolve_both(session, before, after)
    options = replace(source.options, drift=False, allow_empty=True)
    contents: list[Contents | NotFoundError] = []
    for seq in moments:
        try:
            contents.append(_contents(store, source, replace(options, as_of=str(seq))))
        except NotFoundError as error:
            # An IDC or an app that the source asks for may be newer than this moment.
            contents.append(error)
    old, new = contents
    if isinstance(old, NotFoundError) and isinstance(new, NotFoundError):
        raise new
    nothing: Contents = ({}, {})
    return difference.compare(
        nothing if isinstance(old, NotFoundError) else old,
        nothing if isinstance(new, NotFoundError) else new,
    )


def _contents(store: Store, source: SourceFile, options: Options) -> Contents:
    rules = source.rules()
    try:
        found = assembly.read(store, Wanted(options, rules.keep())).inventory
        hosts, groups = construction.finished(found, rules)
    except NeedsAnsibleError:
        return ansible_inventory.contents(source, str(options.as_of))
    return {**hosts, ALL: found.everywhere}, {**groups, ALL: set()}


def _built(store: Store, options: Options, rules: Rules) -> tuple[Inventory, list[Reason]]:
    """Return the inventory; where only Ansible can evaluate ``where``, one without it, and that said."""
    try:
        return assembly.read(store, Wanted(options, rules.keep())).inventory, []
    except NeedsAnsibleError:
        return assembly.read(store, Wanted(options)).inventory, [Reason("where", str(options.where))]


def _left_out(
    store: Store, found: Inventory, options: Options, rules: Rules, told: Explanation
) -> Explanation:
    """Explain a host that the source does not select."""
    host = told.host
    everything = Options(
        Selection(state=HOST_STATES), fields=FIELDS, as_of=options.as_of, group_by=options.group_by
    )
    with store.read() as session:
        rows = assembly.picture(session, Wanted(replace(everything, allow_empty=True)))
    row = next((row for row in rows.hosts if row.name == host), None)
    if row is None:
        hint = meant(host, [row.name for row in rows.hosts]) or "`drcloud inventory hosts` lists them"
        raise NotFoundError(f"there is no host {host!r} in the CMDB: {hint}")
    whole = inventory.build(rows, options=everything)
    seen = whole.hosts[host]
    told.against += explanation.why_not_selected(row, rows.placements, options, rules, seen)
    # A group that the source would make of all hosts is asked about with good reason.
    _refuse_unknown(rules, told.group, found, whole)
    if not told.against:
        told.against.append(Reason("duplicates", "it shares its name with another host and is left out"))
    return told


def _refuse_unknown(rules: Rules, group: str, *inventories: Inventory) -> None:
    """Refuse a group that no rule makes for any host, unless an expression that only Ansible knows could."""
    known = {rule.name.partition(".")[2] for rule in rules.groups}
    unsure = False
    for found in inventories:
        keyed, some_unsure = explanation.keyed_groups(found, rules)
        known |= explanation.known_groups(found) | keyed
        unsure |= some_unsure
    if unsure or group == ALL or any(same_group(name, group) for name in known):
        return
    hint = meant(group, sorted(known)) or "`ansible-inventory --graph` shows the groups"
    raise NothingMatchedError(f"no rule makes a group {group!r} of this inventory: {hint}")


def _ask_ansible(told: Explanation, source: SourceFile) -> None:
    """Let Ansible decide what cannot be evaluated here; the reasons stay those of the source."""
    unknown, told.unknown = told.unknown, []
    if told.host in ansible_inventory.members(source, told.group):
        told.because += [Reason(one.rule, f"{one.detail} (evaluated by Ansible)") for one in unknown]
    else:
        told.because = []
        said = "does not put it there (evaluated by Ansible)"
        told.against += [Reason(one.rule, f"{one.detail} {said}") for one in unknown]
