"""Starting testbeds, bringing them up from a topology, and taking them down."""
