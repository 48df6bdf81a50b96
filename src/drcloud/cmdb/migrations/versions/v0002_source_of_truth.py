"""The whole of what an IDC is made of, and its rules in the database itself.

Frozen: it does not import the models, so it stays what it was when they change. A rule that a key
cannot say is a trigger: ``MESSAGES`` names them all, SQLite and PostgreSQL refuse in the same words.

SQLite cannot alter a constraint: ``prefix`` and ``address`` are copied into new tables. The caller
has switched foreign keys off and looks for broken ones afterwards (``drcloud.cmdb.schema``).
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

TIME = sa.DateTime(timezone=True)
ROW = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
# The same for everybody who writes prefixes or addresses past the unit of work.
IPAM_LOCK = 4_221_900_418

HOST_MOVES = {
    "planned": ("provisioning", "retired"),
    "provisioning": ("active", "planned", "quarantined", "retired"),
    "active": ("maintenance", "quarantined"),
    "maintenance": ("active", "provisioning", "quarantined", "retired"),
    "quarantined": ("active", "maintenance", "provisioning", "retired"),
}
CHANGE_MOVES = {
    "draft": ("approved", "cancelled"),
    "approved": ("cancelled", "draft", "open"),
    "open": ("cancelled", "closed"),
}
MESSAGES = {
    "host_state": "the state of a host cannot move like this",
    "change_state": "the state of a change cannot move like this",
    "prefix_nested": "a prefix lies inside of another one that is no aggregate",
    "prefix_vrf": "a prefix that has addresses cannot move to another VRF",
    "address_vrf": "an address must be of the VRF of its prefix",
    "address_nic": "the nic of an address must be one of its host",
    "rack_slot_place": "a slot must be a unit of the rack its host stands in",
    "host_rack": "a host that occupies units of a rack cannot move to another rack",
    "rack_units": "a rack cannot be lower than its highest occupied unit",
    "app_spec_version_update": "a version of a specification is never changed",
    "app_spec_version_delete": "the specifications of an app that was deployed are kept",
    "app_config_update": "a version of a configuration is never changed",
    "app_config_delete": "the configurations of an app that was deployed are kept",
    "release_update": "what a release is called and its digest are never changed",
}


def upgrade() -> None:
    """Add the tables, widen those there are, then set the guards."""
    for create in (_catalogue, _network, _machines, _delivery, _balancing, _control):
        create()
    _guards()


def downgrade() -> None:
    """What 0001 cannot hold would be lost."""
    raise NotImplementedError("restore a backup instead")


def _is_sqlite() -> bool:
    return bool(op.get_bind().dialect.name == "sqlite")


def _table(name: str, *columns: sa.schema.SchemaItem) -> None:
    """Create a declared table: its columns, and those that all declared rows have."""
    op.create_table(
        name,
        sa.Column("id", ROW, nullable=False),
        *columns,
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("attrs", JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{_plain(name)}")),
        sa.UniqueConstraint("uid", name=op.f(f"uq_{_plain(name)}_uid")),
    )


def _plain(name: str) -> str:
    return name.removeprefix("new_")


def _text(name: str, length: int, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.String(length=length), nullable=null)


def _number(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer(), nullable=null)


def _row(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, ROW, nullable=null)


def _refers(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=op.f(f"fk_{table}_{column}"))


def _unique(table: str, *columns: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(*columns, name=op.f(f"uq_{table}_{'_'.join(columns)}"))


def _check(table: str, name: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=op.f(f"ck_{table}_{name}"))


def _index(table: str, column: str) -> None:
    op.create_index(op.f(f"ix_{table}_{column}"), table, [column], unique=False)


def _unique_where(name: str, table: str, column: str, condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, [column], unique=True, sqlite_where=where, postgresql_where=where)


def _add_reference(table: str, column: str, target: str) -> None:
    """Add an empty reference; both engines take the key in the same statement."""
    kind = "INTEGER" if _is_sqlite() else "BIGINT"
    op.execute(
        f"ALTER TABLE {table} ADD COLUMN {column} {kind} "
        f"CONSTRAINT fk_{table}_{column} REFERENCES {target} (id)"
    )


def _add(table: str, definition: str) -> None:
    """Add a column with a value for the rows there are; new rows bring their own."""
    op.execute(f"ALTER TABLE {table} ADD COLUMN {definition}")
    if not _is_sqlite():
        op.execute(f"ALTER TABLE {table} ALTER COLUMN {definition.split(maxsplit=1)[0]} DROP DEFAULT")


def _catalogue() -> None:
    for table in ("tag", "vrf", "firewall_zone"):
        _table(table, _text("name", 64), _text("description", 255), _unique(table, "name"))
    _table(
        "hardware_model",
        _text("name", 64),
        _text("vendor", 64),
        _number("rack_units"),
        _check("hardware_model", "rack_units", "rack_units >= 1 AND rack_units <= 100"),
        _unique("hardware_model", "name"),
    )
    _table(
        "vlan",
        _row("idc_id"),
        _number("vid"),
        _text("name", 64),
        _check("vlan", "vid", "vid BETWEEN 1 AND 4094"),
        _refers("vlan", "idc_id", "idc"),
        _unique("vlan", "idc_id", "vid"),
    )


def _network() -> None:
    if _is_sqlite():
        _new_prefix()
    else:
        _altered_prefix()
    op.execute(
        "UPDATE prefix SET aggregate = true WHERE EXISTS (SELECT 1 FROM prefix AS inner_one "
        "WHERE inner_one.id <> prefix.id "
        "AND inner_one.first >= prefix.first AND inner_one.last <= prefix.last)"
    )
    _index("prefix", "first")
    _unique_where("uq_prefix_default_vrf_cidr", "prefix", "cidr", "vrf_id IS NULL")


def _new_prefix() -> None:
    _table(
        "new_prefix",
        _text("cidr", 64),
        _row("vrf_id", null=True),
        sa.Column("aggregate", sa.Boolean(), nullable=False),
        _text("first", 34),
        _text("last", 34),
        _text("purpose", 32),
        _row("idc_id", null=True),
        _row("vlan_id", null=True),
        _row("zone_id", null=True),
        _check("prefix", "order", "first <= last"),
        _refers("prefix", "vrf_id", "vrf"),
        _refers("prefix", "idc_id", "idc"),
        _refers("prefix", "vlan_id", "vlan"),
        _refers("prefix", "zone_id", "firewall_zone"),
        _unique("prefix", "id", "first", "last"),
        _unique("prefix", "vrf_id", "cidr"),
    )
    kept = "id, cidr, first, last, purpose, idc_id, uid, version, created_at, updated_at, attrs"
    op.execute(f"INSERT INTO new_prefix ({kept}, aggregate) SELECT {kept}, false FROM prefix")  # noqa: S608
    op.execute("DROP TABLE prefix")
    op.execute("ALTER TABLE new_prefix RENAME TO prefix")


def _altered_prefix() -> None:
    _add_reference("prefix", "vrf_id", "vrf")
    _add_reference("prefix", "vlan_id", "vlan")
    _add_reference("prefix", "zone_id", "firewall_zone")
    _add("prefix", "aggregate BOOLEAN NOT NULL DEFAULT false")
    op.drop_constraint("uq_prefix_cidr", "prefix")
    op.create_unique_constraint(op.f("uq_prefix_vrf_id_cidr"), "prefix", ["vrf_id", "cidr"])


def _machines() -> None:
    _add(
        "rack",
        "units INTEGER NOT NULL DEFAULT 42 CONSTRAINT ck_rack_units CHECK (units >= 1 AND units <= 100)",
    )
    _add_reference("host", "model_id", "hardware_model")
    _table(
        "nic",
        _row("host_id"),
        _text("name", 64),
        _text("mac", 17, null=True),
        _number("speed_mbps", null=True),
        _check("nic", "speed_mbps", "speed_mbps IS NULL OR speed_mbps > 0"),
        _refers("nic", "host_id", "host"),
        _unique("nic", "host_id", "name"),
        _unique("nic", "mac"),
    )
    _table(
        "rack_slot",
        _row("rack_id"),
        _number("unit"),
        _row("host_id"),
        _check("rack_slot", "unit", "unit >= 1"),
        _refers("rack_slot", "rack_id", "rack"),
        _refers("rack_slot", "host_id", "host"),
        _unique("rack_slot", "rack_id", "unit"),
    )
    _index("rack_slot", "host_id")
    _table(
        "host_tag",
        _row("host_id"),
        _row("tag_id"),
        _refers("host_tag", "host_id", "host"),
        _refers("host_tag", "tag_id", "tag"),
        _unique("host_tag", "host_id", "tag_id"),
    )
    _index("host_tag", "tag_id")
    _addresses()
    _controllers()


def _controllers() -> None:
    _table(
        "bmc",
        _row("host_id"),
        _row("address_id"),
        _text("type", 16),
        _text("credential", 255, null=True),
        _check("bmc", "type", "type IN ('ipmi', 'redfish')"),
        _refers("bmc", "host_id", "host"),
        _refers("bmc", "address_id", "address"),
        _unique("bmc", "host_id"),
        _unique("bmc", "address_id"),
    )


def _addresses() -> None:
    if _is_sqlite():
        _new_address()
    else:
        _altered_address()
    for column in ("address", "prefix_id", "host_id", "nic_id"):
        _index("address", column)
    _unique_where("uq_address_default_vrf_value", "address", "value", "vrf_id IS NULL")
    _unique_where("uq_address_primary_host_id", "address", "host_id", "purpose = 'management'")


def _new_address() -> None:
    _table(
        "new_address",
        _text("address", 64),
        _text("value", 34),
        _row("vrf_id", null=True),
        _text("purpose", 32),
        _row("prefix_id"),
        _text("prefix_first", 34),
        _text("prefix_last", 34),
        _row("host_id", null=True),
        _row("nic_id", null=True),
        _check("address", "inside_prefix", "value >= prefix_first AND value <= prefix_last"),
        _check("address", "nic_of_host", "nic_id IS NULL OR host_id IS NOT NULL"),
        sa.ForeignKeyConstraint(
            ["prefix_id", "prefix_first", "prefix_last"],
            ["prefix.id", "prefix.first", "prefix.last"],
            name="fk_address_prefix",
            onupdate="CASCADE",
        ),
        _refers("address", "vrf_id", "vrf"),
        _refers("address", "host_id", "host"),
        _refers("address", "nic_id", "nic"),
        _unique("address", "vrf_id", "value"),
    )
    kept = (
        "id, address, value, prefix_id, prefix_first, prefix_last, host_id, "
        "uid, version, created_at, updated_at, attrs"
    )
    op.execute(f"INSERT INTO new_address ({kept}, purpose) SELECT {kept}, 'management' FROM address")  # noqa: S608
    op.execute("DROP TABLE address")
    op.execute("ALTER TABLE new_address RENAME TO address")


def _altered_address() -> None:
    _add_reference("address", "vrf_id", "vrf")
    _add_reference("address", "nic_id", "nic")
    _add("address", "purpose VARCHAR(32) NOT NULL DEFAULT 'management'")
    for name in ("uq_address_address", "uq_address_value", "uq_address_host_id"):
        op.drop_constraint(name, "address")
    op.alter_column("address", "host_id", nullable=True)
    op.create_unique_constraint(op.f("uq_address_vrf_id_value"), "address", ["vrf_id", "value"])
    op.create_check_constraint(
        op.f("ck_address_nic_of_host"), "address", "nic_id IS NULL OR host_id IS NOT NULL"
    )


def _delivery() -> None:
    _add("environment", "change_required BOOLEAN NOT NULL DEFAULT false")
    _table(
        "app_config",
        _row("app_id"),
        _row("environment_id"),
        _number("number"),
        sa.Column("document", JSON, nullable=False),
        _check("app_config", "number", "number >= 1"),
        _refers("app_config", "app_id", "app"),
        _refers("app_config", "environment_id", "environment"),
        _unique("app_config", "app_id", "environment_id", "number"),
    )


def _balancing() -> None:
    _table(
        "vip",
        _text("name", 64),
        _row("address_id"),
        _number("vrrp_id", null=True),
        _check("vip", "vrrp_id", "vrrp_id BETWEEN 1 AND 255"),
        _refers("vip", "address_id", "address"),
        _unique("vip", "name"),
        _unique("vip", "address_id"),
    )
    _table(
        "certificate",
        _text("name", 64),
        _text("subject", 255),
        _text("issuer", 255),
        sa.Column("not_after", TIME, nullable=False),
        _text("fingerprint", 64),
        _text("private_key", 255, null=True),
        _unique("certificate", "name"),
        _unique("certificate", "fingerprint"),
    )
    _table(
        "lb_pool",
        _text("name", 64),
        _row("vip_id"),
        _number("port"),
        _text("mode", 8),
        _row("placement_id", null=True),
        _row("certificate_id", null=True),
        _check("lb_pool", "port", "port BETWEEN 1 AND 65535"),
        _check("lb_pool", "mode", "mode IN ('http', 'tcp')"),
        _refers("lb_pool", "vip_id", "vip"),
        _refers("lb_pool", "placement_id", "placement"),
        _refers("lb_pool", "certificate_id", "certificate"),
        _unique("lb_pool", "name"),
        _unique("lb_pool", "vip_id", "port"),
    )


def _control() -> None:
    _table(
        "change",
        _text("ticket", 64),
        _text("title", 255),
        _text("state", 16),
        sa.Column("window_start", TIME, nullable=True),
        sa.Column("window_end", TIME, nullable=True),
        sa.Column("scope", JSON, nullable=False),
        _check("change", "state", "state IN ('draft', 'approved', 'open', 'closed', 'cancelled')"),
        _check(
            "change",
            "window",
            "(window_start IS NULL) = (window_end IS NULL) "
            "AND (window_start IS NULL OR window_start < window_end)",
        ),
        _unique("change", "ticket"),
    )
    _table(
        "waiver",
        _text("name", 64),
        _text("control", 64),
        _text("object", 255),
        _text("owner", 64),
        sa.Column("reason", sa.Text(), nullable=False),
        _text("ticket", 64),
        sa.Column("expires_at", TIME, nullable=False),
        _check("waiver", "reasoned", "owner <> '' AND reason <> '' AND ticket <> ''"),
        _unique("waiver", "name"),
    )
    _index("waiver", "control")


def _guards() -> None:
    _guard_moves()
    _guard_network()
    _guard_racks()
    _guard_versions()


def _guard_moves() -> None:
    for table, moves in (("host", HOST_MOVES), ("change", CHANGE_MOVES)):
        allowed = ", ".join(f"'{start}>{end}'" for start, ends in moves.items() for end in ends)
        _guard(
            f"{table}_state",
            table,
            "UPDATE",
            f"OLD.state <> NEW.state AND OLD.state || '>' || NEW.state NOT IN ({allowed})",
        )


def _guard_network() -> None:
    # Prefixes that are no aggregates never overlap, so the one before the new one's start is the only
    # one it may lie in, and whatever starts inside of the new one lies in it.
    _guard(
        "prefix_nested",
        "prefix",
        "INSERT OR UPDATE",
        "NEW.last <= (SELECT one.last FROM prefix AS one WHERE one.first <= NEW.first AND NOT one.aggregate "
        "AND one.id <> NEW.id AND coalesce(one.vrf_id, 0) = coalesce(NEW.vrf_id, 0) "
        "ORDER BY one.first DESC LIMIT 1) "
        "OR (NOT NEW.aggregate AND EXISTS (SELECT 1 FROM prefix AS one WHERE one.id <> NEW.id "
        "AND one.first BETWEEN NEW.first AND NEW.last AND one.last <= NEW.last "
        "AND coalesce(one.vrf_id, 0) = coalesce(NEW.vrf_id, 0)))",
        lock=True,
    )
    _guard(
        "prefix_vrf",
        "prefix",
        "UPDATE",
        "coalesce(OLD.vrf_id, 0) <> coalesce(NEW.vrf_id, 0) "
        "AND EXISTS (SELECT 1 FROM address WHERE prefix_id = NEW.id)",
        lock=True,
    )
    _guard(
        "address_vrf",
        "address",
        "INSERT OR UPDATE",
        "coalesce(NEW.vrf_id, 0) <> (SELECT coalesce(vrf_id, 0) FROM prefix WHERE id = NEW.prefix_id)",
        lock=True,
    )
    _guard(
        "address_nic",
        "address",
        "INSERT OR UPDATE",
        "NEW.host_id <> (SELECT host_id FROM nic WHERE id = NEW.nic_id)",
    )


def _guard_racks() -> None:
    _guard(
        "rack_slot_place",
        "rack_slot",
        "INSERT OR UPDATE",
        "NOT EXISTS (SELECT 1 FROM host WHERE id = NEW.host_id AND rack_id = NEW.rack_id) "
        "OR NEW.unit > (SELECT units FROM rack WHERE id = NEW.rack_id)",
    )
    _guard(
        "host_rack",
        "host",
        "UPDATE",
        "coalesce(OLD.rack_id, 0) <> coalesce(NEW.rack_id, 0) AND EXISTS (SELECT 1 FROM rack_slot "
        "WHERE host_id = NEW.id AND rack_id <> coalesce(NEW.rack_id, 0))",
    )
    _guard(
        "rack_units",
        "rack",
        "UPDATE",
        "NEW.units < (SELECT max(unit) FROM rack_slot WHERE rack_id = NEW.id)",
    )


def _guard_versions() -> None:
    for table in ("app_spec_version", "app_config"):
        _guard(f"{table}_update", table, "UPDATE", "true")
        _guard(
            f"{table}_delete",
            table,
            "DELETE",
            "EXISTS (SELECT 1 FROM deployment WHERE app_id = OLD.app_id)",
        )
    _guard(
        "release_update",
        "release",
        "UPDATE",
        "OLD.app_id <> NEW.app_id OR OLD.tag <> NEW.tag OR OLD.digest <> NEW.digest",
    )


def _guard(name: str, table: str, events: str, condition: str, *, lock: bool = False) -> None:
    """Refuse a write of a row for which a condition holds; with ``lock`` writers take turns."""
    message = MESSAGES[name]
    if _is_sqlite():
        for event in events.split(" OR "):
            op.execute(
                f"CREATE TRIGGER {name}_{event.lower()} BEFORE {event} ON {table} WHEN {condition} "
                f"BEGIN SELECT RAISE(ABORT, '{name}: {message}'); END"
            )
        return
    turn = f"PERFORM pg_advisory_xact_lock({IPAM_LOCK}); " if lock else ""
    kept = "OLD" if events == "DELETE" else "NEW"
    op.execute(
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {turn}"
        f"IF {condition} THEN RAISE EXCEPTION '{name}: {message}' "
        f"USING ERRCODE = 'check_violation', CONSTRAINT = '{name}', TABLE = '{table}'; END IF; "
        f"RETURN {kept}; END $$"
    )
    op.execute(f"CREATE TRIGGER {name} BEFORE {events} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()")
