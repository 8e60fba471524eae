"""Copies that a library marks itself: `# Copied from transformers.... with X->Y`."""
