"""One program for each tool; all but Uncrib's run in the tool's own environment."""
