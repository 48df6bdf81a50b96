"""Migrations of the CMDB's schema, run by Alembic."""
