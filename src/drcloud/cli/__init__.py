"""The drcloud command."""
