"""The same models written for PyTorch, for JAX/Flax and for TensorFlow."""
