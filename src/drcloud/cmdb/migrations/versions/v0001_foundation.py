"""The first schema: what should be (declared tables) and what was seen and done (operational tables).

Frozen: it does not import the models, so it stays what it was when they change.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

TIME = sa.DateTime(timezone=True)
ROW = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
COUNTERS = ("declared", "lease", "observed")


def upgrade() -> None:
    """Create all tables, the counters, and the guard of the log."""
    _allocation()
    _change_log()
    _environment()
    _evidence()
    _finding()
    _idc()
    _lease()
    _outbox()
    _run()
    _schedule()
    _sequence()
    _prefix()
    _room()
    _run_event()
    _rack()
    _host()
    _address()
    _block_device()
    _evidence_seen()
    _host_fact()
    _host_key()
    _instance()
    _observation()
    _registry()
    _app()
    _app_spec_version()
    _deployment()
    _placement()
    _release()
    _channel()
    _deployment_step()
    _placement_host()
    _placement_lb()
    _counters()
    _append_only()


def downgrade() -> None:
    """There is nothing older to go back to."""
    raise NotImplementedError("restore a backup instead")


def _counters() -> None:
    counters = sa.table("sequence", sa.column("name", sa.String), sa.column("value", sa.Integer))
    op.bulk_insert(counters, [{"name": name, "value": 0} for name in COUNTERS])


def _append_only() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER change_log_no_{verb.lower()} BEFORE {verb} ON change_log "
                "BEGIN SELECT RAISE(ABORT, 'change_log is append-only'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION change_log_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'change_log is append-only'; END $$"
    )
    op.execute(
        "CREATE TRIGGER change_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON change_log "
        "FOR EACH STATEMENT EXECUTE FUNCTION change_log_append_only()"
    )


def _allocation() -> None:
    op.create_table(
        "allocation",
        sa.Column("pool", sa.String(length=128), nullable=False),
        sa.Column("owner", sa.String(length=128), nullable=False),
        sa.Column("value", sa.Integer(), nullable=False),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("attrs", JSON, nullable=False),
        sa.Column("id", ROW, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_allocation")),
        sa.UniqueConstraint("pool", "owner", name=op.f("uq_allocation_pool_owner")),
        sa.UniqueConstraint("pool", "value", name=op.f("uq_allocation_pool_value")),
        sa.UniqueConstraint("uid", name=op.f("uq_allocation_uid")),
    )


def _change_log() -> None:
    op.create_table(
        "change_log",
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("actor", sa.String(length=128), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("ticket", sa.String(length=64), nullable=True),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("key", sa.String(length=512), nullable=False),
        sa.Column("action", sa.String(length=8), nullable=False),
        sa.Column("before", JSON, nullable=True),
        sa.Column("after", JSON, nullable=True),
        sa.Column("id", ROW, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_change_log")),
        sa.UniqueConstraint("seq", name=op.f("uq_change_log_seq")),
    )
    op.create_index(op.f("ix_change_log_key"), "change_log", ["key"], unique=False)
    op.create_index(op.f("ix_change_log_kind"), "change_log", ["kind"], unique=False)


def _environment() -> None:
    op.create_table(
        "environment",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("attrs", JSON, nullable=False),
        sa.Column("id", ROW, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_environment")),
        sa.UniqueConstraint("name", name=op.f("uq_environment_name")),
        sa.UniqueConstraint("uid", name=op.f("uq_environment_uid")),
    )


def _evidence() -> None:
    op.create_table(
        "evidence",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("id", ROW, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evidence")),
        sa.UniqueConstraint("digest", name=op.f("uq_evidence_digest")),
    )


def _finding() -> None:
    op.create_table(
        "finding",
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("control", sa.String(length=64), nullable=False),
        sa.Column("host", sa.String(length=64), nullable=False),
        sa.Column("object", sa.String(length=255), nullable=False),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("first_seen", TIME, nullable=False),
        sa.Column("last_seen", TIME, nullable=False),
        sa.Column("fixed_at", TIME, nullable=True),
        sa.Column("id", ROW, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_finding")),
        sa.UniqueConstraint("fingerprint", name=op.f("uq_finding_fingerprint")),
    )
    op.create_index(op.f("ix_finding_control"), "finding", ["control"], unique=False)
    op.create_index(op.f("ix_finding_host"), "finding", ["host"], unique=False)


def _idc() -> None:
    op.create_table(
        "idc",
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("attrs", JSON, nullable=False),
        sa.Column("id", ROW, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_idc")),
        sa.UniqueConstraint("code", name=op.f("uq_idc_code")),
        sa.UniqueConstraint("uid", name=op.f("uq_idc_uid")),
    )


def _lease() -> None:
    op.create_table(
        "lease",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("holder", sa.String(length=128), nullable=False),
        sa.Column("exclusive", sa.Boolean(), nullable=False),
        sa.Column("token", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.String(length=255), nullable=False),
        sa.Column("acquired_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("id", ROW, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lease")),
        sa.UniqueConstraint("name", "holder", name=op.f("uq_lease_name_holder")),
    )
    op.create_index(op.f("ix_lease_name"), "lease", ["name"], unique=False)


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("at", TIME, nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("data", JSON, nullable=False),
        sa.Column("delivered_at", TIME, nullable=True),
        sa.Column("id", ROW, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
    )
    op.create_index(op.f("ix_outbox_subject"), "outbox", ["subject"], unique=False)


def _run() -> None:
    op.create_table(
        "run",
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("playbook", sa.String(length=512), nullable=False),
        sa.Column("request", JSON, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("actor", sa.String(length=128), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("requested_at", TIME, nullable=False),
        sa.Column("started_at", TIME, nullable=True),
        sa.Column("ended_at", TIME, nullable=True),
        sa.Column("summary", JSON, nullable=False),
        sa.Column("id", ROW, nullable=False),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled', 'timed-out', 'lost')",
            name=op.f("ck_run_state"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
        sa.UniqueConstraint("uid", name=op.f("uq_run_uid")),
    )


def _schedule() -> None:
    op.create_table(
        "schedule",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("playbook", sa.String(length=255), nullable=False),
        sa.Column("calendar", sa.String(length=128), nullable=False),
        sa.Column("inventory", sa.String(length=255), nullable=True),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("attrs", JSON, nullable=False),
        sa.Column("id", ROW, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedule")),
        sa.UniqueConstraint("name", name=op.f("uq_schedule_name")),
        sa.UniqueConstraint("uid", name=op.f("uq_schedule_uid")),
    )


def _sequence() -> None:
    op.create_table(
        "sequence",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("value", sa.Integer(), nullable=False),
        sa.Column("id", ROW, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sequence")),
        sa.UniqueConstraint("name", name=op.f("uq_sequence_name")),
    )


def _prefix() -> None:
    op.create_table(
        "prefix",
        sa.Column("cidr", sa.String(length=64), nullable=False),
        sa.Column("first", sa.String(length=34), nullable=False),
        sa.Column("last", sa.String(length=34), nullable=False),
        sa.Column("purpose", sa.String(length=32), nullable=False),
        sa.Column("idc_id", ROW, nullable=True),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("attrs", JSON, nullable=False),
        sa.Column("id", ROW, nullable=False),
        sa.CheckConstraint("first <= last", name=op.f("ck_prefix_order")),
        sa.ForeignKeyConstraint(["idc_id"], ["idc.id"], name=op.f("fk_prefix_idc_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prefix")),
        sa.UniqueConstraint("cidr", name=op.f("uq_prefix_cidr")),
        sa.UniqueConstraint("id", "first", "last", name=op.f("uq_prefix_id_first_last")),
        sa.UniqueConstraint("uid", name=op.f("uq_prefix_uid")),
    )


def _room() -> None:
    op.create_table(
        "room",
        sa.Column("idc_id", ROW, nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("attrs", JSON, nullable=False),
        sa.Column("id", ROW, nullable=False),
        sa.ForeignKeyConstraint(["idc_id"], ["idc.id"], name=op.f("fk_room_idc_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_room")),
        sa.UniqueConstraint("idc_id", "code", name=op.f("uq_room_idc_id_code")),
        sa.UniqueConstraint("uid", name=op.f("uq_room_uid")),
    )


def _run_event() -> None:
    op.create_table(
        "run_event",
        sa.Column("run_id", ROW, nullable=False),
        sa.Column("counter", sa.Integer(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("host", sa.String(length=64), nullable=True),
        sa.Column("task", sa.String(length=255), nullable=True),
        sa.Column("data", JSON, nullable=False),
        sa.Column("id", ROW, nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_run_event_run_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run_event")),
        sa.UniqueConstraint("run_id", "counter", name=op.f("uq_run_event_run_id_counter")),
    )


def _rack() -> None:
    op.create_table(
        "rack",
        sa.Column("room_id", ROW, nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("attrs", JSON, nullable=False),
        sa.Column("id", ROW, nullable=False),
        sa.ForeignKeyConstraint(["room_id"], ["room.id"], name=op.f("fk_rack_room_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rack")),
        sa.UniqueConstraint("room_id", "code", name=op.f("uq_rack_room_id_code")),
        sa.UniqueConstraint("uid", name=op.f("uq_rack_uid")),
    )


def _host() -> None:
    op.create_table(
        "host",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("rack_id", ROW, nullable=True),
        sa.Column("serial", sa.String(length=64), nullable=True),
        sa.Column("asset_tag", sa.String(length=64), nullable=True),
        sa.Column("ssh_user", sa.String(length=32), nullable=False),
        sa.Column("ssh_port", sa.Integer(), nullable=False),
        sa.Column("ssh_via_id", ROW, nullable=True),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("attrs", JSON, nullable=False),
        sa.Column("id", ROW, nullable=False),
        sa.CheckConstraint(
            "state IN ('planned', 'provisioning', 'active', 'maintenance', 'quarantined', 'retired')",
            name=op.f("ck_host_state"),
        ),
        sa.ForeignKeyConstraint(["rack_id"], ["rack.id"], name=op.f("fk_host_rack_id")),
        sa.ForeignKeyConstraint(["ssh_via_id"], ["host.id"], name=op.f("fk_host_ssh_via_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_host")),
        sa.UniqueConstraint("asset_tag", name=op.f("uq_host_asset_tag")),
        sa.UniqueConstraint("name", name=op.f("uq_host_name")),
        sa.UniqueConstraint("serial", name=op.f("uq_host_serial")),
        sa.UniqueConstraint("uid", name=op.f("uq_host_uid")),
    )
    op.create_index(op.f("ix_host_role"), "host", ["role"], unique=False)
    op.create_index(op.f("ix_host_state"), "host", ["state"], unique=False)


def _address() -> None:
    op.create_table(
        "address",
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("value", sa.String(length=34), nullable=False),
        sa.Column("prefix_id", ROW, nullable=False),
        sa.Column("prefix_first", sa.String(length=34), nullable=False),
        sa.Column("prefix_last", sa.String(length=34), nullable=False),
        sa.Column("host_id", ROW, nullable=False),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("attrs", JSON, nullable=False),
        sa.Column("id", ROW, nullable=False),
        sa.CheckConstraint(
            "value >= prefix_first AND value <= prefix_last", name=op.f("ck_address_inside_prefix")
        ),
        sa.ForeignKeyConstraint(["host_id"], ["host.id"], name=op.f("fk_address_host_id")),
        sa.ForeignKeyConstraint(
            ["prefix_id", "prefix_first", "prefix_last"],
            ["prefix.id", "prefix.first", "prefix.last"],
            name="fk_address_prefix",
            onupdate="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_address")),
        sa.UniqueConstraint("address", name=op.f("uq_address_address")),
        sa.UniqueConstraint("host_id", name=op.f("uq_address_host_id")),
        sa.UniqueConstraint("uid", name=op.f("uq_address_uid")),
        sa.UniqueConstraint("value", name=op.f("uq_address_value")),
    )


def _block_device() -> None:
    op.create_table(
        "block_device",
        sa.Column("host_id", ROW, nullable=False),
        sa.Column("path", sa.String(length=255), nullable=True),
        sa.Column("serial", sa.String(length=128), nullable=True),
        sa.Column("wwn", sa.String(length=64), nullable=True),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("attrs", JSON, nullable=False),
        sa.Column("id", ROW, nullable=False),
        sa.CheckConstraint(
            "purpose IN ('docker-data', 'app-volume', 'raw', 'spare')", name=op.f("ck_block_device_purpose")
        ),
        sa.CheckConstraint(
            "path IS NOT NULL OR serial IS NOT NULL OR wwn IS NOT NULL", name=op.f("ck_block_device_identity")
        ),
        sa.ForeignKeyConstraint(["host_id"], ["host.id"], name=op.f("fk_block_device_host_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_block_device")),
        sa.UniqueConstraint("host_id", "path", name=op.f("uq_block_device_host_id_path")),
        sa.UniqueConstraint("serial", name=op.f("uq_block_device_serial")),
        sa.UniqueConstraint("uid", name=op.f("uq_block_device_uid")),
        sa.UniqueConstraint("wwn", name=op.f("uq_block_device_wwn")),
    )


def _evidence_seen() -> None:
    op.create_table(
        "evidence_seen",
        sa.Column("host_id", ROW, nullable=False),
        sa.Column("evidence_id", ROW, nullable=False),
        sa.Column("collected_at", TIME, nullable=False),
        sa.Column("run_uid", sa.String(length=36), nullable=True),
        sa.Column("id", ROW, nullable=False),
        sa.ForeignKeyConstraint(["evidence_id"], ["evidence.id"], name=op.f("fk_evidence_seen_evidence_id")),
        sa.ForeignKeyConstraint(
            ["host_id"], ["host.id"], name=op.f("fk_evidence_seen_host_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evidence_seen")),
    )
    op.create_index(op.f("ix_evidence_seen_host_id"), "evidence_seen", ["host_id"], unique=False)


def _host_fact() -> None:
    op.create_table(
        "host_fact",
        sa.Column("host_id", ROW, nullable=False),
        sa.Column("observed_at", TIME, nullable=False),
        sa.Column("facts", JSON, nullable=False),
        sa.Column("id", ROW, nullable=False),
        sa.ForeignKeyConstraint(
            ["host_id"], ["host.id"], name=op.f("fk_host_fact_host_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_host_fact")),
        sa.UniqueConstraint("host_id", name=op.f("uq_host_fact_host_id")),
    )


def _host_key() -> None:
    op.create_table(
        "host_key",
        sa.Column("host_id", ROW, nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=2048), nullable=False),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("attrs", JSON, nullable=False),
        sa.Column("id", ROW, nullable=False),
        sa.ForeignKeyConstraint(["host_id"], ["host.id"], name=op.f("fk_host_key_host_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_host_key")),
        sa.UniqueConstraint("host_id", "type", name=op.f("uq_host_key_host_id_type")),
        sa.UniqueConstraint("uid", name=op.f("uq_host_key_uid")),
    )


def _instance() -> None:
    op.create_table(
        "instance",
        sa.Column("host_id", ROW, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("app", sa.String(length=64), nullable=False),
        sa.Column("env", sa.String(length=32), nullable=False),
        sa.Column("slot", sa.String(length=1), nullable=False),
        sa.Column("tag", sa.String(length=128), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("revision", sa.String(length=64), nullable=False),
        sa.Column("deployment", sa.String(length=36), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("health", sa.String(length=32), nullable=False),
        sa.Column("started_at", TIME, nullable=True),
        sa.Column("observed_at", TIME, nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("id", ROW, nullable=False),
        sa.ForeignKeyConstraint(
            ["host_id"], ["host.id"], name=op.f("fk_instance_host_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instance")),
        sa.UniqueConstraint("host_id", "name", name=op.f("uq_instance_host_id_name")),
    )


def _observation() -> None:
    op.create_table(
        "observation",
        sa.Column("host_id", ROW, nullable=False),
        sa.Column("observed_at", TIME, nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("id", ROW, nullable=False),
        sa.ForeignKeyConstraint(
            ["host_id"], ["host.id"], name=op.f("fk_observation_host_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_observation")),
        sa.UniqueConstraint("host_id", name=op.f("uq_observation_host_id")),
    )


def _registry() -> None:
    op.create_table(
        "registry",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("host_id", ROW, nullable=True),
        sa.Column("endpoint", sa.String(length=255), nullable=True),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("username", sa.String(length=64), nullable=True),
        sa.Column("password", sa.String(length=255), nullable=True),
        sa.Column("ca", sa.String(length=255), nullable=True),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("attrs", JSON, nullable=False),
        sa.Column("id", ROW, nullable=False),
        sa.ForeignKeyConstraint(["host_id"], ["host.id"], name=op.f("fk_registry_host_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registry")),
        sa.UniqueConstraint("name", name=op.f("uq_registry_name")),
        sa.UniqueConstraint("uid", name=op.f("uq_registry_uid")),
    )


def _app() -> None:
    op.create_table(
        "app",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("registry_id", ROW, nullable=False),
        sa.Column("spec_version", sa.Integer(), nullable=False),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("attrs", JSON, nullable=False),
        sa.Column("id", ROW, nullable=False),
        sa.ForeignKeyConstraint(["registry_id"], ["registry.id"], name=op.f("fk_app_registry_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_app")),
        sa.UniqueConstraint("name", name=op.f("uq_app_name")),
        sa.UniqueConstraint("uid", name=op.f("uq_app_uid")),
    )


def _app_spec_version() -> None:
    op.create_table(
        "app_spec_version",
        sa.Column("app_id", ROW, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("document", JSON, nullable=False),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("attrs", JSON, nullable=False),
        sa.Column("id", ROW, nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["app.id"], name=op.f("fk_app_spec_version_app_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_app_spec_version")),
        sa.UniqueConstraint("app_id", "number", name=op.f("uq_app_spec_version_app_id_number")),
        sa.UniqueConstraint("uid", name=op.f("uq_app_spec_version_uid")),
    )


def _deployment() -> None:
    op.create_table(
        "deployment",
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("app_id", ROW, nullable=False),
        sa.Column("environment_id", ROW, nullable=False),
        sa.Column("tag", sa.String(length=128), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("revision", sa.String(length=64), nullable=False),
        sa.Column("spec_version", sa.Integer(), nullable=False),
        sa.Column("plan", JSON, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.String(length=128), nullable=False),
        sa.Column("run_uid", sa.String(length=36), nullable=True),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("ended_at", TIME, nullable=True),
        sa.Column("id", ROW, nullable=False),
        sa.CheckConstraint(
            "state IN ('running', 'succeeded', 'failed', 'reverted', 'lost', 'nothing-to-do')",
            name=op.f("ck_deployment_state"),
        ),
        sa.ForeignKeyConstraint(["app_id"], ["app.id"], name=op.f("fk_deployment_app_id")),
        sa.ForeignKeyConstraint(
            ["environment_id"], ["environment.id"], name=op.f("fk_deployment_environment_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployment")),
        sa.UniqueConstraint("uid", name=op.f("uq_deployment_uid")),
    )


def _placement() -> None:
    op.create_table(
        "placement",
        sa.Column("app_id", ROW, nullable=False),
        sa.Column("environment_id", ROW, nullable=False),
        sa.Column("min_in_service", sa.Integer(), nullable=False),
        sa.Column("batch", sa.Integer(), nullable=False),
        sa.Column("lb_port", sa.Integer(), nullable=True),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("attrs", JSON, nullable=False),
        sa.Column("id", ROW, nullable=False),
        sa.CheckConstraint("min_in_service >= 0 AND batch >= 1", name=op.f("ck_placement_roll")),
        sa.ForeignKeyConstraint(["app_id"], ["app.id"], name=op.f("fk_placement_app_id")),
        sa.ForeignKeyConstraint(
            ["environment_id"], ["environment.id"], name=op.f("fk_placement_environment_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_placement")),
        sa.UniqueConstraint("app_id", "environment_id", name=op.f("uq_placement_app_id_environment_id")),
        sa.UniqueConstraint("uid", name=op.f("uq_placement_uid")),
    )


def _release() -> None:
    op.create_table(
        "release",
        sa.Column("app_id", ROW, nullable=False),
        sa.Column("tag", sa.String(length=128), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("git_ref", sa.String(length=255), nullable=True),
        sa.Column("build", sa.String(length=255), nullable=True),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("attrs", JSON, nullable=False),
        sa.Column("id", ROW, nullable=False),
        sa.CheckConstraint("digest LIKE 'sha256:%'", name=op.f("ck_release_digest")),
        sa.ForeignKeyConstraint(["app_id"], ["app.id"], name=op.f("fk_release_app_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_release")),
        sa.UniqueConstraint("app_id", "tag", "digest", name=op.f("uq_release_app_id_tag_digest")),
        sa.UniqueConstraint("uid", name=op.f("uq_release_uid")),
    )


def _channel() -> None:
    op.create_table(
        "channel",
        sa.Column("app_id", ROW, nullable=False),
        sa.Column("tag", sa.String(length=128), nullable=False),
        sa.Column("release_id", ROW, nullable=False),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("attrs", JSON, nullable=False),
        sa.Column("id", ROW, nullable=False),
        sa.ForeignKeyConstraint(["app_id"], ["app.id"], name=op.f("fk_channel_app_id")),
        sa.ForeignKeyConstraint(["release_id"], ["release.id"], name=op.f("fk_channel_release_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_channel")),
        sa.UniqueConstraint("app_id", "tag", name=op.f("uq_channel_app_id_tag")),
        sa.UniqueConstraint("uid", name=op.f("uq_channel_uid")),
    )


def _deployment_step() -> None:
    op.create_table(
        "deployment_step",
        sa.Column("deployment_id", ROW, nullable=False),
        sa.Column("host_id", ROW, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("batch", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("token", sa.Integer(), nullable=False),
        sa.Column("previous_revision", sa.String(length=64), nullable=True),
        sa.Column("slot", sa.String(length=1), nullable=True),
        sa.Column("detail", JSON, nullable=False),
        sa.Column("changed_at", TIME, nullable=False),
        sa.Column("id", ROW, nullable=False),
        sa.CheckConstraint(
            "state IN ('pending', 'claimed', 'done', 'unchanged', 'failed', 'reverted', 'unreachable', 'skipped')",  # noqa: E501
            name=op.f("ck_deployment_step_state"),
        ),
        sa.ForeignKeyConstraint(
            ["deployment_id"],
            ["deployment.id"],
            name=op.f("fk_deployment_step_deployment_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["host_id"], ["host.id"], name=op.f("fk_deployment_step_host_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployment_step")),
        sa.UniqueConstraint(
            "deployment_id", "host_id", name=op.f("uq_deployment_step_deployment_id_host_id")
        ),
    )


def _placement_host() -> None:
    op.create_table(
        "placement_host",
        sa.Column("placement_id", ROW, nullable=False),
        sa.Column("host_id", ROW, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("attrs", JSON, nullable=False),
        sa.Column("id", ROW, nullable=False),
        sa.ForeignKeyConstraint(["host_id"], ["host.id"], name=op.f("fk_placement_host_host_id")),
        sa.ForeignKeyConstraint(
            ["placement_id"], ["placement.id"], name=op.f("fk_placement_host_placement_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_placement_host")),
        sa.UniqueConstraint("placement_id", "host_id", name=op.f("uq_placement_host_placement_id_host_id")),
        sa.UniqueConstraint("uid", name=op.f("uq_placement_host_uid")),
    )


def _placement_lb() -> None:
    op.create_table(
        "placement_lb",
        sa.Column("placement_id", ROW, nullable=False),
        sa.Column("host_id", ROW, nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("attrs", JSON, nullable=False),
        sa.Column("id", ROW, nullable=False),
        sa.ForeignKeyConstraint(["host_id"], ["host.id"], name=op.f("fk_placement_lb_host_id")),
        sa.ForeignKeyConstraint(
            ["placement_id"], ["placement.id"], name=op.f("fk_placement_lb_placement_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_placement_lb")),
        sa.UniqueConstraint("host_id", "port", name=op.f("uq_placement_lb_host_id_port")),
        sa.UniqueConstraint("placement_id", "host_id", name=op.f("uq_placement_lb_placement_id_host_id")),
        sa.UniqueConstraint("uid", name=op.f("uq_placement_lb_uid")),
    )
