"""The control socket: its protocol, the client, and the registry of testbeds that run."""
