"""Edits of topologies that tests make: objects taken out, what names them, and who may notice."""
