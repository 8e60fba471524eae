"""Real pairs of repositories whose relation is known."""
