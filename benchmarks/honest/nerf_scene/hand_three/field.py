"""The radiance field: sinusoidal features followed by an MLP."""
import flax.linen as nn
import jax.numpy as jnp


def fourier_features(x, num_bands: int):
    """[..., D] -> [..., D * (1 + 2 * num_bands)], keeping the raw input in front."""
    scaled = x[..., None, :] * (2.0 ** jnp.arange(num_bands))[:, None]
    waves = jnp.concatenate([jnp.sin(scaled), jnp.cos(scaled)], axis=-1)
    return jnp.concatenate([x, waves.reshape(*x.shape[:-1], -1)], axis=-1)


class RadianceField(nn.Module):
    depth: int = 8
    width: int = 256
    skip_at: int = 5
    xyz_bands: int = 10
    dir_bands: int = 4

    @nn.compact
    def __call__(self, points, viewdirs):
        """points [R, S, 3], unit viewdirs [R, 3] -> rgb [R, S, 3], sigma [R, S]."""
        xyz = fourier_features(points, self.xyz_bands)
        h = xyz
        for layer in range(self.depth):
            if layer == self.skip_at:
                h = jnp.concatenate([h, xyz], axis=-1)
            h = nn.relu(nn.Dense(self.width, name=f"trunk_{layer}")(h))
        sigma = nn.relu(nn.Dense(1, name="density")(h))[..., 0]

        dirs = fourier_features(viewdirs, self.dir_bands)[:, None, :]
        dirs = jnp.broadcast_to(dirs, (*points.shape[:2], dirs.shape[-1]))
        h = nn.Dense(self.width, name="bottleneck")(h)
        h = jnp.concatenate([h, dirs], axis=-1)
        h = nn.relu(nn.Dense(self.width // 2, name="color_hidden")(h))
        return nn.sigmoid(nn.Dense(3, name="color")(h)), sigma
