"""Other tools on the same work, in the same run: each scores pairs of submissions, as it comes.

work (folders left/NAME/**/*.py and right/NAME/**/*.py) -> tools (adapters, run as programs) -> running
(scores, time, memory) -> measures -> tables
"""
