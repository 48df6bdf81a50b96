"""Alembic's entry: migrate over the connection that ``drcloud.cmdb.schema`` hands in."""

from alembic import context

from drcloud.cmdb import declared, operational  # noqa: F401  (they define the tables)
from drcloud.cmdb.base import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    transactional_ddl=True,
    compare_type=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
