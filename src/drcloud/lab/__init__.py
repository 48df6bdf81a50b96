"""The lab of this checkout: identity, state and addresses."""
