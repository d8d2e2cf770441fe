"""The kernel: `apply` changes it, `observe` reads it, nothing else touches it."""
