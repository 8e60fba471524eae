"""What can survive a renaming: words, prose, references to the other side's files and names."""
