"""The micro VM: where the host's kernel lacks features, a guest runs the keeper."""
