"""What makes a server a Docker host: file systems of its disks, bridges, what zones allow, VIPs of balancers.

Frozen, as 0002 is. Only adds: whatever a CMDB holds is valid afterwards, also a volume of an app that says
nowhere yet where it is mounted.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"

TIME = sa.DateTime(timezone=True)
ROW = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
MESSAGES = {
    "vip_lb_role": "a VIP moves between hosts of the role lb",
    "host_role_lb": "a host that carries a VIP keeps the role lb",
}


def upgrade() -> None:
    """Widen the tables there are, add the new ones, then set the guards."""
    for widen in (_block_device, _firewall_zone, _certificate):
        widen()
    _bridge()
    _vip_lb()
    _guards()


def downgrade() -> None:
    """What 0002 cannot hold would be lost."""
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
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{name}")),
        sa.UniqueConstraint("uid", name=op.f(f"uq_{name}_uid")),
    )


def _text(name: str, length: int, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.String(length=length), nullable=null)


def _number(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer(), nullable=null)


def _row(name: str) -> sa.Column[Any]:
    return sa.Column(name, ROW, nullable=False)


def _refers(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=op.f(f"fk_{table}_{column}"))


def _unique(table: str, *columns: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(*columns, name=op.f(f"uq_{table}_{'_'.join(columns)}"))


def _check(table: str, name: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=op.f(f"ck_{table}_{name}"))


def _add(table: str, column: str, kind: str, check: str | None = None) -> None:
    """Add an empty column; both engines take its check in the same statement."""
    rule = f" CONSTRAINT ck_{table}_{column} CHECK ({check})" if check else ""
    op.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}{rule}")


def _add_reference(table: str, column: str, target: str) -> None:
    """Add an empty reference; both engines take the key in the same statement."""
    kind = "INTEGER" if _is_sqlite() else "BIGINT"
    op.execute(
        f"ALTER TABLE {table} ADD COLUMN {column} {kind} "
        f"CONSTRAINT fk_{table}_{column} REFERENCES {target} (id)"
    )


def _block_device() -> None:
    _add("block_device", "filesystem", "VARCHAR(8)", "filesystem IN ('xfs', 'ext4')")
    _add(
        "block_device",
        "mount",
        "VARCHAR(255)",
        "mount IS NULL OR (purpose = 'app-volume' AND mount LIKE '/%')",
    )
    _add("block_device", "uuid", "VARCHAR(36)")
    _add_reference("block_device", "app_id", "app")
    for column in ("mount", "uuid"):
        name = op.f(f"uq_block_device_host_id_{column}")
        op.create_index(name, "block_device", ["host_id", column], unique=True)


def _firewall_zone() -> None:
    """Zones of before allow nothing: no firewall asked them."""
    kind = "JSON" if _is_sqlite() else "JSONB"
    op.execute(f"ALTER TABLE firewall_zone ADD COLUMN allows {kind} NOT NULL DEFAULT '[]'")
    if not _is_sqlite():
        op.execute("ALTER TABLE firewall_zone ALTER COLUMN allows DROP DEFAULT")


def _certificate() -> None:
    _add("certificate", "pem", "VARCHAR(255)")
    _add_reference("certificate", "host_id", "host")
    _add("certificate", "purpose", "VARCHAR(32)")
    op.create_index(op.f("ix_certificate_host_id"), "certificate", ["host_id"], unique=False)


def _bridge() -> None:
    _table(
        "bridge",
        _row("host_id"),
        _text("name", 15),
        _text("mode", 8),
        _text("nic", 15, null=True),
        _text("containers", 64, null=True),
        _number("length", null=True),
        _number("mtu", null=True),
        _text("ipv6", 64, null=True),
        _check("bridge", "mode", "mode IN ('nat', 'uplink')"),
        _check("bridge", "nic", "(mode = 'uplink') = (nic IS NOT NULL)"),
        _check("bridge", "containers", "mode = 'nat' OR containers IS NOT NULL"),
        _check("bridge", "name", "length(name) BETWEEN 1 AND 15"),
        _check("bridge", "length", "length BETWEEN 1 AND 128"),
        _check("bridge", "mtu", "mtu BETWEEN 68 AND 65535"),
        _refers("bridge", "host_id", "host"),
        _unique("bridge", "host_id", "name"),
        _unique("bridge", "host_id", "nic"),
    )


def _vip_lb() -> None:
    _table(
        "vip_lb",
        _row("vip_id"),
        _row("host_id"),
        _number("position"),
        _refers("vip_lb", "vip_id", "vip"),
        _refers("vip_lb", "host_id", "host"),
        _unique("vip_lb", "vip_id", "host_id"),
    )


def _guards() -> None:
    _guard(
        "vip_lb_role",
        "vip_lb",
        "INSERT OR UPDATE",
        "NOT EXISTS (SELECT 1 FROM host WHERE id = NEW.host_id AND role = 'lb')",
    )
    _guard(
        "host_role_lb",
        "host",
        "UPDATE",
        "NEW.role <> 'lb' AND EXISTS (SELECT 1 FROM vip_lb WHERE host_id = NEW.id)",
    )


def _guard(name: str, table: str, events: str, condition: str) -> None:
    """Refuse a write of a row for which a condition holds."""
    message = MESSAGES[name]
    if _is_sqlite():
        for event in events.split(" OR "):
            op.execute(
                f"CREATE TRIGGER {name}_{event.lower()} BEFORE {event} ON {table} WHEN {condition} "
                f"BEGIN SELECT RAISE(ABORT, '{name}: {message}'); END"
            )
        return
    op.execute(
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF {condition} THEN RAISE EXCEPTION '{name}: {message}' "
        f"USING ERRCODE = 'check_violation', CONSTRAINT = '{name}', TABLE = '{table}'; END IF; "
        f"RETURN NEW; END $$"
    )
    op.execute(f"CREATE TRIGGER {name} BEFORE {events} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()")
