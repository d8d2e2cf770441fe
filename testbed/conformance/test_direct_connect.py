"""direct-connect."""
