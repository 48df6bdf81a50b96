"""Controls over evidence, and their reports."""
