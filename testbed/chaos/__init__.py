"""Random faults under constant traffic and checks, to see whether what is said is true."""
