"""Releases, rollout plans and the deployment ledger: how an image gets onto the fleet."""
