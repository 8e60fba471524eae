"""quietlever: learn to pull continuous levers."""
