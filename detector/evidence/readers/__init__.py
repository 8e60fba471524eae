"""Bounded readers: bytes of a repository's files as plain data, or `Unreadable`; nothing is executed."""
