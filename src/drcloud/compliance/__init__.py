"""Is it as it should be: controls over evidence, findings, reports."""
