"""Operations on documents, with EC2's names and arguments.

An operation, called with its arguments, returns a `Change`, which makes another document
of a document.
"""
