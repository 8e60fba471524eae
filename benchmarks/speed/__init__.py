"""How long a comparison takes, in units of parsing the same files once."""
