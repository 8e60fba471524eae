"""The report: assembled once from all evidence, then drawn by renderers that compute nothing."""
