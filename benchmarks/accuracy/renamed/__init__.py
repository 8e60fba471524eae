"""Copies of honest work in which only a part of the names was replaced."""
