"""AWS's own API over a running testbed: unmodified clients of AWS change what packets meet."""
