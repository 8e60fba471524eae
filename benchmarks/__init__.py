"""Measurements that anyone can rerun; each folder is one, run as `python -m benchmarks.<name>`."""
