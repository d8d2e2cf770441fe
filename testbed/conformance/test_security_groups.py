"""security-groups."""
