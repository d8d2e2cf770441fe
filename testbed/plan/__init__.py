"""The plan: the Linux objects a testbed is made of, as plain data, and differences between plans."""
