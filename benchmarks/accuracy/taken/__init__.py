"""Public repositories under other names, as a whole and one file of each within another program."""
