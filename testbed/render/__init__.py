"""Output for people: tables, trees, progress and pictures."""
