"""firewalls."""
