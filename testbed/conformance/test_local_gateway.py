"""local-gateway."""
