"""Releases, rollout plans and the deployment ledger."""
