"""Two honest hands at the same specification, beside copies of the first hand at four depths."""
