"""What the API data promises: spellings of one operation have one fingerprint, two operations have two."""

from __future__ import annotations

import pytest

from detector.fingerprint.api import api, concept, normal_name, signature
from detector.fingerprint.repository import fingerprint_files

IMPORTS = """
import collections, functools, itertools, json, math, operator, os, pickle, random, re, time
import einops, flax.linen, gym, gymnasium, jax, keras, numpy, optax, PIL, scipy.special, six, tensorflow
import timm, torch, torchvision, transformers, diffusers
import jax.numpy as jnp, numpy as np, tensorflow as tf, torch.nn as nn, torch.nn.functional as F
from PIL import Image
from torch import Tensor
"""


def value(expression: str) -> list[int]:
    """The hashes, at all levels, of the expression's outermost operation and of a call that takes it."""
    given = "x, y, z, device, size, params, path"
    source = f"{IMPORTS}\ndef unit({given}):\n    return x.outermost({expression})\n"
    prints = fingerprint_files({"unit.py": source.encode()})
    (unit,) = (unit for unit in prints.fingerprints if unit.unit.kind == "function")
    return [int(term) for term in unit.terms[-2:].ravel()]


SAME = [
    # function, method and operator
    ("torch.softmax(x, dim=-1)", "x.softmax(dim=-1)"),
    ("torch.softmax(x, dim=-1)", "F.softmax(x, dim=-1)"),
    ("torch.softmax(x, dim=-1)", "torch.nn.functional.softmax(x, -1)"),
    ("torch.matmul(x, y)", "x @ y"),
    ("torch.bmm(x, y)", "x.bmm(y)"),
    ("np.dot(x, y)", "x @ y"),
    ("np.multiply(x, y)", "y * x"),
    ("torch.sub(x, y)", "x - y"),
    ("operator.lt(x, y)", "y > x"),
    ("jnp.power(x, y)", "x ** y"),
    ("torch.Tensor.view(x, 2, y)", "x.reshape(2, y)"),
    ("torch.square(x)", "x ** 2"),
    ("torch.sum(x, dim=1)", "x.sum(1)"),
    ("torch.split(x, 4, dim=0)", "x.split(4)"),
    ("torch.triu(x, diagonal=1)", "x.triu(1)"),
    ("F.relu(x)", "torch.relu(x)"),
    ("np.expand_dims(x, 0)", "x[None]"),
    ("torch.unsqueeze(x, dim=1)", "x[:, None]"),
    ("np.repeat(x, 3, 1)", "torch.repeat_interleave(x, 3, 1)"),
    ("np.amax(x)", "x.max()"),
    ("jax.nn.sigmoid(x)", "torch.sigmoid(x)"),
    ("scipy.special.expit(x)", "torch.sigmoid(x)"),
    ("np.arctan2(x, y)", "torch.atan2(x, y)"),
    # one tuple or its elements
    ("x.permute(0, 2, 1)", "torch.permute(x, (0, 2, 1))"),
    ("x.transpose(2, 0, 1)", "np.transpose(x, (2, 0, 1))"),
    ("torch.zeros(2, y)", "torch.zeros((2, y))"),
    ("np.random.rand(3, y)", "np.random.random((3, y))"),
    ("x.view(2, -1)", "x.reshape([2, -1])"),
    # positional, keyword, default
    ("nn.Linear(3, y, True)", "nn.Linear(out_features=y, in_features=3)"),
    ("nn.Conv2d(3, y, 7, 1, 3, bias=False)", "nn.Conv2d(3, y, kernel_size=7, padding=3, bias=False)"),
    ("nn.LayerNorm(y, eps=1e-5)", "nn.LayerNorm(y)"),
    ("nn.LSTM(x, y, 1, batch_first=True)", "nn.LSTM(input_size=x, hidden_size=y, batch_first=True)"),
    ("torch.cat([x, y], dim=0)", "torch.cat((x, y))"),
    ("torch.stack([x, y], 1)", "torch.stack((x, y), dim=1)"),
    ("torch.optim.Adam(params, 0.001)", "torch.optim.Adam(params, lr=1e-3, betas=(0.9, 0.999))"),
    ("F.cross_entropy(x, y, ignore_index=-100)", "F.cross_entropy(x, target=y)"),
    ("F.interpolate(x, size, mode='nearest')", "F.interpolate(x, size=size)"),
    ("np.linspace(x, y, 50)", "np.linspace(start=x, stop=y)"),
    ("np.concatenate([x, y], 0)", "np.concatenate((x, y))"),
    ("jax.lax.scan(x, y, z)", "jax.lax.scan(f=x, init=y, xs=z)"),
    ("einops.rearrange(x, 'b c -> c b')", "einops.rearrange(x, pattern='b c -> c b')"),
    ("Image.new('RGB', size)", "Image.new(mode='RGB', size=size, color=0)"),
    ("torchvision.transforms.Normalize(x, y)", "torchvision.transforms.Normalize(mean=x, std=y)"),
    ("keras.layers.Dense(8, 'relu')", "keras.layers.Dense(units=8, activation='relu')"),
    ("flax.linen.Dense(8, True)", "flax.linen.Dense(features=8)"),
    ("gymnasium.spaces.Discrete(4)", "gymnasium.spaces.Discrete(n=4, start=0)"),
    ("json.dumps(x, ensure_ascii=True)", "json.dumps(obj=x)"),
    ("os.makedirs(path, 511, True)", "os.makedirs(name=path, exist_ok=True)"),
    ("open(path, 'r')", "open(file=path)"),
    ("sorted(x, reverse=False)", "sorted(x)"),
    ("re.sub(x, y, z)", "re.sub(pattern=x, repl=y, string=z, count=0)"),
    ("x.topk(y, -1)", "torch.topk(x, k=y)"),
    ("x.chunk(2, 0)", "torch.chunk(x, chunks=2)"),
    ("x.softmax(-1)", "jax.nn.softmax(x)"),
    # one parameter under the names that frameworks give it
    ("np.sum(x, 0)", "np.sum(x, axis=0)"),
    ("x.sum(axis=1, keepdims=True)", "torch.sum(x, dim=1, keepdim=True)"),
    ("np.clip(x, 0, y)", "torch.clamp(x, min=0, max=y)"),
    ("np.clip(x, a_min=0, a_max=y)", "x.clip(0, y)"),
    ("np.flip(x, axis=1)", "np.flip(x, 1)"),
    ("torch.flip(x, dims=[1, 2])", "x.flip(1, 2)"),
    ("torch.permute(x, dims=(0, 2, 1))", "x.permute(0, 2, 1)"),
    ("np.reshape(x, newshape=(2, y))", "x.reshape(2, y)"),
    ("torch.zeros(size=(2, y))", "torch.zeros(2, y)"),
    ("F.softmax(input=x, dim=1)", "x.softmax(1)"),
    ("torch.arange(0, y)", "torch.arange(y)"),
    ("torch.arange(0, end=y, step=1)", "torch.arange(y)"),
    ("np.arange(start=0, stop=y)", "np.arange(y)"),
    # paths of import
    ("tf.keras.layers.Dense(8)", "keras.layers.Dense(8)"),
    ("keras.src.layers.Dense(8)", "keras.layers.Dense(8)"),
    ("gym.make(x)", "gymnasium.make(x)"),
    ("torch.nn.modules.Linear(3, y)", "nn.Linear(3, y)"),
    ("torch.nn.parameter.Parameter(x)", "nn.Parameter(x)"),
    ("tf.math.reduce_sum(x)", "tf.reduce_sum(x)"),
    ("tf.compat.v1.log(x)", "tf.math.log(x)"),
    ("x(Image.Resampling.BICUBIC)", "x(Image.BICUBIC)"),
    ("torchvision.transforms.transforms.Compose(x)", "torchvision.transforms.Compose(x)"),
    (
        "torchvision.transforms.v2.functional.resize(x, size)",
        "torchvision.transforms.functional.resize(x, size)",
    ),
    ("transformers.models.llama.modeling_llama.LlamaModel(x)", "transformers.LlamaModel(x)"),
    ("transformers.models.auto.AutoModel.from_pretrained(x)", "transformers.AutoModel.from_pretrained(x)"),
    ("diffusers.models.unets.unet_2d.UNet2DModel(x)", "diffusers.UNet2DModel(x)"),
    ("torch.nn.modules.linear.Linear(3, y)", "nn.Linear(3, y)"),
    ("torch.optim.adamw.AdamW(params)", "torch.optim.AdamW(params)"),
    ("timm.models.layers.drop.DropPath(y)", "timm.layers.DropPath(y)"),
    ("keras.src.layers.core.dense.Dense(8)", "tf.keras.layers.Dense(8)"),
    ("gym.spaces.box.Box(x, y)", "gymnasium.spaces.Box(x, y)"),
    # old spellings
    ("nn.init.constant(x, 0.5)", "nn.init.constant_(x, val=0.5)"),
    ("nn.init.xavier_uniform(x)", "nn.init.xavier_uniform_(x, gain=1.0)"),
    ("F.upsample(x, size)", "F.interpolate(x, size=size)"),
    ("nn.utils.clip_grad_norm(x, y)", "nn.utils.clip_grad_norm_(x, y)"),
    ("torch.concat([x, y])", "torch.cat([x, y])"),
    ("torch.cuda.amp.GradScaler()", "torch.amp.GradScaler()"),
    ("x.to(torch.float)", "x.to(torch.float32)"),
    ("x.astype(np.float)", "x.astype(float)"),
    ("x(Image.ANTIALIAS)", "x(Image.LANCZOS)"),
    ("torchvision.transforms.Scale(y)", "torchvision.transforms.Resize(y)"),
    ("jax.tree_map(x, y)", "jax.tree.map(x, y)"),
    ("jax.tree_util.tree_map(x, y)", "jax.tree.map(x, y)"),
    ("np.product(x)", "np.prod(x)"),
    ("y * np.pi", "math.pi * y"),
    # Python 2
    ("xrange(y)", "range(y)"),
    ("itertools.izip(x, y)", "zip(x, y)"),
    ("x.iteritems()", "x.items()"),
    ("six.iteritems(x)", "x.items()"),
    ("isinstance(x, basestring)", "isinstance(x, str)"),
    ("reduce(x, y)", "functools.reduce(x, y)"),
    # no operation on values
    ("x.transpose(1, 2).contiguous().view(2, y)", "x.transpose(1, 2).reshape(2, y)"),
    ("torch.autograd.Variable(x) + y", "x + y"),
]


@pytest.mark.parametrize(("left", "right"), SAME)
def test_two_spellings_of_one_operation_have_one_fingerprint(left: str, right: str) -> None:
    assert value(left) == value(right)


DIFFERENT = [
    # the order of arguments
    ("torch.where(x, y, z)", "y.where(x, z)"),
    ("torch.sub(x * 2, y)", "torch.sub(y, x * 2)"),
    ("torch.gather(x, 1, y + 1)", "torch.gather(y + 1, 1, x)"),
    # one name, two operations
    ("np.repeat(x, 3)", "x.repeat(3)"),
    ("np.split(x, 4)", "x.split(4)"),
    ("np.size(x)", "x.size()"),
    ("np.sort(x)", "x.sort()"),
    ("np.select(x, y)", "torch.select(x, y)"),
    ("F.unfold(x, 3)", "x.unfold(3)"),
    ("np.resize(x, y)", "x.resize(y)"),
    ("x.add(y)", "x + y"),
    ("re.sub(x, y)", "x - y"),
    ("sum(x)", "x.sum()"),
    ("max(x)", "x.max()"),
    ("torch.equal(x, y)", "x == y"),
    ("torch.range(0, y)", "torch.arange(0, y)"),
    ("torch.tensor(x)", "torch.Tensor(x)"),
    ("torch.max(x)", "torch.maximum(x, y)"),
    ("torch.fmod(x, y)", "torch.remainder(x, y)"),
    ("torch.cross(x, y)", "torch.dot(x, y)"),
    ("torch.embedding(x, y)", "F.embedding(x, y)"),
    ("scipy.special.softmax(x)", "F.softmax(x)"),
    ("nn.init.constant_(x, 1)", "tf.constant(x, 1)"),
    ("F.upsample_bilinear(x, size)", "F.interpolate(x, size)"),
    ("type(x)", "x.type()"),
    ("torch.cuda.is_available()", "x.cuda()"),
    ("torch.float16", "torch.float32"),
    ("torch.half", "x.half"),
    ("Image.BICUBIC", "Image.BILINEAR"),
    ("torch.arange(1, y)", "torch.arange(y)"),
    ("torchvision.models.resnet50(x)", "torchvision.models.resnet18(x)"),
    ("torch.optim.lr_scheduler.StepLR(x, y)", "torch.optim.StepLR(x, y)"),
    ("x.flip(1)", "x.flip(2)"),
    # another value
    ("torch.optim.Adam(params, betas=(0.9, 0.99))", "torch.optim.Adam(params)"),
    ("nn.LayerNorm(y, eps=1e-6)", "nn.LayerNorm(y)"),
    ("torch.softmax(x, dim=0)", "torch.softmax(x, dim=-1)"),
    ("torch.cat([x, y], 1)", "torch.cat([x, y])"),
    ("nn.Conv2d(3, y, 7)", "nn.Conv2d(3, y, 5)"),
    ("nn.LSTM(x, y, bidirectional=True)", "nn.LSTM(x, y)"),
    ("einops.rearrange(x, 'b c -> c b')", "einops.rearrange(x, 'c b -> b c')"),
    ("open(path, 'rb')", "open(path)"),
]


@pytest.mark.parametrize(("left", "right"), DIFFERENT)
def test_two_operations_have_two_fingerprints(left: str, right: str) -> None:
    assert value(left) != value(right)


ONE_CONCEPT = [
    ("torch.cat", "numpy.concatenate", "tensorflow.concat", "jax.numpy.concatenate"),
    ("torch.nn.Linear", "flax.linen.Dense", "keras.layers.Dense", "mindspore.nn.Dense"),
    ("torch.nn.Conv2d", "flax.linen.Conv", "keras.layers.Conv2D"),
    ("torch.nn.LayerNorm", "keras.layers.LayerNormalization", "flax.linen.LayerNorm"),
    ("torch.nn.BatchNorm2d", "paddle.nn.BatchNorm2D", "keras.layers.BatchNormalization"),
    ("torch.nn.Embedding", "flax.linen.Embed"),
    (".sum", "tensorflow.reduce_sum", "mindspore.ops.ReduceSum"),
    (".permute", "tensorflow.transpose", ".swapaxes"),
    (".unsqueeze", "tensorflow.expand_dims", "mlx.core.expand_dims"),
    (".clamp", "tensorflow.clip_by_value", "paddle.clip"),
    (
        "torch.nn.init.xavier_uniform_",
        "jax.nn.initializers.glorot_uniform",
        "keras.initializers.GlorotUniform",
    ),
    ("torch.nn.SiLU", "jax.nn.silu", "flax.linen.swish", "tensorflow.nn.swish"),
    ("torch.optim.AdamW", "optax.adamw", "keras.optimizers.AdamW"),
    ("torch.nn.utils.clip_grad_norm_", "optax.clip_by_global_norm", "tensorflow.clip_by_global_norm"),
    ("torch.randn", "jax.random.normal", "tensorflow.random.normal"),
    ("torch.rand", "jax.random.uniform", "numpy.random.uniform"),
    ("torch.matmul", "tensorflow.matmul", "chainer.functions.matmul"),
]


@pytest.mark.parametrize("names", ONE_CONCEPT)
def test_an_operation_is_one_concept_in_every_framework(names: tuple[str, ...]) -> None:
    assert len({concept(normal_name(name)) for name in names}) == 1


TWO_CONCEPTS = [
    ("torch.nn.init.constant_", "torch.tensor"),
    (".fill_", "torch.full"),
    (".add", "torch.add"),
    ("re.sub", "torch.sub"),
    ("type", ".astype"),
    ("torch.equal", "torch.eq"),
    ("struct.unpack", "torch.unbind"),
    ("torch.nn.LayerNorm", "torch.nn.GroupNorm"),
    ("torch.nn.ReLU", "torch.nn.GELU"),
    ("torch.argmax", ".max"),
    ("torch.cumsum", ".sum"),
    ("torch.nn.init.xavier_uniform_", "torch.nn.init.kaiming_uniform_"),
    ("torch.nn.MSELoss", "torch.nn.L1Loss"),
    ("torch.nn.MaxPool2d", "torch.nn.AvgPool2d"),
]


@pytest.mark.parametrize(("left", "right"), TWO_CONCEPTS)
def test_two_operations_are_two_concepts(left: str, right: str) -> None:
    assert concept(normal_name(left)) != concept(normal_name(right))


def test_normal_forms_are_final() -> None:
    known = api()
    assert not [name for name, target in known.aliases.items() if known.aliases.get(target, target) != target]
    assert not [word for word, target in known.concepts.items() if target in known.concepts]
    assert not known.receivers & known.containers


def test_signatures_stand_under_names_that_calls_arrive_with() -> None:
    known = api()
    assert not [name for name in known.signatures if normal_name(name) != name]
    assert not [name for name in known.signatures if name in known.operators]


def test_every_signature_can_be_read() -> None:
    unread = [name for name in api().signatures if signature(name) is None]
    assert not unread
