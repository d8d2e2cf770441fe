"""Outages on purpose: what users saw, what the Region missed, and what came back when."""
