"""Looking at the network from inside: ping, capture, HTTP; for the command line and tests."""
