"""Image autoencoder whose latent map is rounded to a learned dictionary (Flax)."""
import flax.linen as nn
import jax
import jax.numpy as jnp


class PreActUnit(nn.Module):
    features: int

    @nn.compact
    def __call__(self, inputs):
        h = nn.silu(nn.GroupNorm(num_groups=8, epsilon=1e-5)(inputs))
        h = nn.Conv(self.features, (3, 3), padding=1)(h)
        h = nn.silu(nn.GroupNorm(num_groups=8, epsilon=1e-5)(h))
        h = nn.Conv(self.features, (1, 1))(h)
        return inputs + h


class Dictionary(nn.Module):
    """Snaps vectors to their closest atom. The atoms are running averages and get no gradient.

    They live in the "dictionary" collection, which has to be mutable in training.
    """
    num_atoms: int
    atom_dim: int
    ema: float = 0.99
    min_count: float = 0.5
    epsilon: float = 1e-5

    def setup(self):
        def draw():
            return jax.random.normal(self.make_rng("params"), (self.num_atoms, self.atom_dim))

        atoms = self.variable("dictionary", "atoms", draw)
        counts = self.variable("dictionary", "counts", lambda: jnp.ones((self.num_atoms,)))
        moments = self.variable("dictionary", "moments", lambda: jnp.array(atoms.value))
        self.atoms, self.counts, self.moments = atoms, counts, moments

    def assign(self, vectors):
        atoms = self.atoms.value
        sq_dist = (jnp.sum(vectors ** 2, axis=1, keepdims=True)
                   - 2 * vectors @ atoms.T
                   + jnp.sum(atoms ** 2, axis=1))
        return jnp.argmin(sq_dist, axis=1)

    def gather(self, ids):
        """(B, H, W) ids -> (B, H, W, atom_dim) vectors."""
        return jnp.take(self.atoms.value, ids, axis=0)

    def move(self, vectors, assigned):
        rate = 1 - self.ema
        counts = self.counts.value + rate * (assigned.sum(axis=0) - self.counts.value)
        moments = self.moments.value + rate * (assigned.T @ vectors - self.moments.value)
        mass = counts.sum()
        laplace = (counts + self.epsilon) / (mass + self.num_atoms * self.epsilon) * mass
        atoms = moments / laplace[:, None]

        # atoms that fell out of use jump to random vectors of this batch
        # (one candidate for every atom, as shapes must not depend on values)
        unused = counts < self.min_count
        rows = jax.random.randint(self.make_rng("restart"), (self.num_atoms,), 0, len(vectors))
        candidates = vectors[rows]
        self.atoms.value = jnp.where(unused[:, None], candidates, atoms)
        self.moments.value = jnp.where(unused[:, None], candidates, moments)
        self.counts.value = jnp.where(unused, 1.0, counts)
        return unused.sum()

    def __call__(self, latent, train=False):
        b, h, w, d = latent.shape
        vectors = jax.lax.stop_gradient(latent).reshape(-1, d).astype(jnp.float32)
        ids = self.assign(vectors)
        assigned = jax.nn.one_hot(ids, self.num_atoms, dtype=jnp.float32)
        ids = ids.reshape(b, h, w)
        snapped = self.gather(ids)
        jumped = self.move(vectors, assigned) if train else jnp.zeros((), jnp.int32)

        commit = jnp.mean((latent - snapped) ** 2)
        fraction = assigned.mean(axis=0)
        ppl = jnp.exp(-jnp.sum(fraction * jnp.log(fraction + 1e-10)))
        straight = latent + jax.lax.stop_gradient(snapped - latent)
        return straight, ids, commit, {"ppl": ppl, "jumped": jumped}


class DiscreteAE(nn.Module):
    """The latent map has a quarter of the picture's height and width."""
    image_channels: int = 3
    features: int = 128
    atom_dim: int = 64
    num_atoms: int = 512
    num_units: int = 2

    @property
    def settings(self):
        return dict(image_channels=self.image_channels, features=self.features,
                    atom_dim=self.atom_dim, num_atoms=self.num_atoms, num_units=self.num_units)

    def setup(self):
        width = self.features
        self.enc = nn.Sequential([
            nn.Conv(width // 2, (4, 4), strides=2, padding=1), nn.silu,
            nn.Conv(width, (4, 4), strides=2, padding=1),
            *[PreActUnit(width) for _ in range(self.num_units)],
            nn.GroupNorm(num_groups=8, epsilon=1e-5), nn.silu, nn.Conv(self.atom_dim, (1, 1))])
        self.dictionary = Dictionary(self.num_atoms, self.atom_dim)
        self.dec = nn.Sequential([
            nn.Conv(width, (3, 3), padding=1),
            *[PreActUnit(width) for _ in range(self.num_units)],
            nn.GroupNorm(num_groups=8, epsilon=1e-5), nn.silu,
            nn.ConvTranspose(width // 2, (4, 4), strides=(2, 2), padding="SAME"), nn.silu,
            nn.ConvTranspose(self.image_channels, (4, 4), strides=(2, 2), padding="SAME")])

    def __call__(self, images, train=False):
        latent, _, commit, extra = self.dictionary(self.enc(images), train=train)
        return self.dec(latent), commit, extra

    def to_ids(self, images):
        latent = self.enc(images)
        vectors = latent.reshape(-1, latent.shape[-1])
        return self.dictionary.assign(vectors).reshape(latent.shape[:3])

    def to_images(self, ids):
        return jnp.clip(self.dec(self.dictionary.gather(ids)), -1, 1)
