"""Playbook runs, from request to outcome."""
