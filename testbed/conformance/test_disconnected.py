"""disconnected."""
