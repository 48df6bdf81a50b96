"""Pulling declared state from NetBox: read all of it or fail, plan (pure), apply in one transaction."""
