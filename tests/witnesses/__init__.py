"""What became of a packet, by others than `testbed trace`: captures, and sockets at its ends."""
