"""service-link."""
