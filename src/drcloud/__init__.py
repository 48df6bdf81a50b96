"""drCloud: a private cloud on plain Docker hosts."""

from __future__ import annotations

__version__ = "0.1.0"
