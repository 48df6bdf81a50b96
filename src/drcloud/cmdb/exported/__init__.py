"""Rows as entries of an import file, for ``drcloud.cmdb.exporter``."""
