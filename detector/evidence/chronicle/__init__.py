"""Matched code followed through both histories: which revision fits best, who held it first, what came
later.
"""
