"""Model, loss, optimiser and augmentation for SimCLR."""
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torchvision import models, transforms as T

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


class TwoViews:
    def __init__(self, size=32, strength=0.5):
        s = strength
        steps = [
            T.RandomResizedCrop(size, scale=(0.2, 1.0)),
            T.RandomHorizontalFlip(),
            T.RandomApply([T.ColorJitter(0.8 * s, 0.8 * s, 0.8 * s, 0.2 * s)], p=0.8),
            T.RandomGrayscale(p=0.2),
        ]
        if size > 64:  # blurring tiny images destroys them
            kernel = size // 10 | 1
            steps.append(T.RandomApply([T.GaussianBlur(kernel, (0.1, 2.0))], p=0.5))
        self.augment = T.Compose(steps + [T.ToTensor(), T.Normalize(MEAN, STD)])

    def __call__(self, image):
        return self.augment(image), self.augment(image)


def build_encoder(arch="resnet18", small_images=True):
    net = getattr(models, arch)(weights=None)
    if small_images:
        net.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        net.maxpool = nn.Identity()
    features = net.fc.in_features
    net.fc = nn.Identity()
    return net, features


class SimCLR(nn.Module):
    def __init__(self, arch="resnet18", proj_dim=128, small_images=True):
        super().__init__()
        self.encoder, self.features = build_encoder(arch, small_images)
        self.projector = nn.Sequential(
            nn.Linear(self.features, self.features, bias=False),
            nn.BatchNorm1d(self.features),
            nn.ReLU(inplace=True),
            nn.Linear(self.features, proj_dim),
        )

    def forward(self, x):
        return self.projector(self.encoder(x))


class GatherWithGrad(torch.autograd.Function):
    """all_gather along the batch that lets gradients flow back to their own rank."""

    @staticmethod
    def forward(ctx, x):
        ctx.rows = len(x)
        parts = [torch.empty_like(x) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx, grad):
        grad = grad.contiguous().clone()
        dist.all_reduce(grad)
        first = dist.get_rank() * ctx.rows
        return grad[first : first + ctx.rows]


def gather(x):
    if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        return GatherWithGrad.apply(x)
    return x


def nt_xent(za, zb, temperature=0.5):
    """Each embedding must pick out its partner among all others in the global batch."""
    za = gather(F.normalize(za.float(), dim=1))
    zb = gather(F.normalize(zb.float(), dim=1))
    n = len(za)
    z = torch.cat((za, zb))
    logits = z @ z.t() / temperature
    logits.fill_diagonal_(float("-inf"))
    partner = torch.arange(2 * n, device=z.device).roll(n)
    return F.cross_entropy(logits, partner)


class LARS(torch.optim.Optimizer):
    """SGD with momentum whose step is rescaled per tensor; 1-d tensors are neither rescaled nor decayed."""

    def __init__(self, params, lr, momentum=0.9, weight_decay=1e-6, trust=1e-3):
        super().__init__(params, dict(lr=lr, momentum=momentum, weight_decay=weight_decay, trust=trust))

    @torch.no_grad()
    def step(self, closure=None):
        if closure is not None:
            raise NotImplementedError("LARS takes no closure")
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                update = p.grad
                if p.ndim > 1:
                    update = update.add(p, alpha=group["weight_decay"])
                    w, g = p.norm(), update.norm()
                    ratio = torch.where((w > 0) & (g > 0), group["trust"] * w / g, torch.ones_like(w))
                    update = update * ratio
                state = self.state[p]
                if "velocity" not in state:
                    state["velocity"] = torch.zeros_like(p)
                velocity = state["velocity"].mul_(group["momentum"]).add_(update)
                p.sub_(velocity, alpha=group["lr"])
