"""The plan: the Linux objects that a testbed is made of, and differences between plans."""
