"""The lab of this checkout: its identity, state, addresses, outer engine, disks and removal.

The role ``lab_hosts`` describes the lab; this package does what no module can do without shell.
"""
