"""Counts in words, for the titles of findings."""


def count(number: int, noun: str) -> str:
    """`1 setting`, `1,739 settings`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
