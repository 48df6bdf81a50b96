"""Is everything there that drCloud needs, and does it answer? Nothing is changed by looking."""
