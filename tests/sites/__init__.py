"""Sites that tests make up: topology files and what they name, from a seed."""
