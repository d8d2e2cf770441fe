"""The installation in AWS's words: loading, deriving and checking topology files."""
