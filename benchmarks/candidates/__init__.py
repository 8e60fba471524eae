"""What the choice of candidates loses against the exact join of all pairs."""
