"""Which version of an app's configuration a deployment brought: 0 where the app had none.

Frozen, as 0003 is. Only adds; deployments of before knew no configuration.
"""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Widen the deployments."""
    op.execute("ALTER TABLE deployment ADD COLUMN config_version INTEGER NOT NULL DEFAULT 0")
    if op.get_bind().dialect.name != "sqlite":
        op.execute("ALTER TABLE deployment ALTER COLUMN config_version DROP DEFAULT")


def downgrade() -> None:
    """What 0003 cannot hold would be lost."""
    raise NotImplementedError("restore a backup instead")
