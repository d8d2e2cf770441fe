"""coip."""
