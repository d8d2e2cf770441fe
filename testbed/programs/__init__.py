"""What runs inside nodes. Standard library only."""
