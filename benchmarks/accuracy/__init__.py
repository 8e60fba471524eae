"""How much is found, and how much of that is right; each folder writes its section of docs/accuracy.md."""
