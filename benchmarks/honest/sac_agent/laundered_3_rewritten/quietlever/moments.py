"""Mean and variance from three sums, on the host and in double precision."""
import numpy as np


class Moments:
    """Begins as if a ten-thousandth of a sample with mean 0 and variance 1 had been seen."""

    def __init__(self, width):
        self.sums = np.zeros((3, width))
        self.sums[[0, 2]] = 1e-4

    def include(self, samples):
        wide = np.asarray(samples, np.float64)
        self.sums += np.stack([np.ones_like(wide), wide, np.square(wide)]).sum(axis=1)

    def standardise(self, samples):
        centre = self.sums[1] / self.sums[0]
        variance = np.maximum(self.sums[2] / self.sums[0] - np.square(centre), 0.0)
        scores = (samples - centre.astype("f4")) / np.sqrt(variance.astype("f4") + np.float32(1e-8))
        return np.minimum(np.maximum(scores, -10.0), 10.0).astype("f4")


class Unchanged:
    """Stands in for Moments where the readings are to stay as they are."""

    sums = np.zeros((3, 0))

    def include(self, samples):
        pass

    def standardise(self, samples):
        return np.asarray(samples, "f4")
