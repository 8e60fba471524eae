"""Model, loss and augmentation for SimCLR."""
import torch
import torch.distributed as dist
from torch import nn
import torch.nn.functional as F
from torchvision import models
from torchvision import transforms as T


class TwoViews:
    def __init__(self, size=32, strength=0.5):
        s = strength
        self.augment = T.Compose([
            T.RandomResizedCrop(size, scale=(0.08, 1.0)), T.RandomHorizontalFlip(),
            T.RandomApply([T.ColorJitter(0.8 * s, 0.8 * s, 0.8 * s, 0.2 * s)], p=0.8),
            T.RandomGrayscale(p=0.2), T.ToTensor()])

    def __call__(self, image):
        return self.augment(image), self.augment(image)


def build_encoder(arch="resnet50", small_images=True):
    """A torchvision ResNet without its classifier; returns it with its feature width."""
    net = getattr(models, arch)(weights=None)
    width = net.fc.in_features
    net.fc = nn.Identity()
    if small_images:  # keep resolution on 32x32 inputs
        net.conv1 = nn.Conv2d(3, 64, 3, stride=1, padding=1, bias=False)
        net.maxpool = nn.Identity()
    return net, width


class SimCLR(nn.Module):
    def __init__(self, arch="resnet50", out_dim=128, small_images=True):
        super().__init__()
        self.encoder, width = build_encoder(arch, small_images)
        self.width = width
        self.projector = nn.Sequential(
            nn.Linear(width, width, bias=False), nn.BatchNorm1d(width), nn.ReLU(inplace=True),
            nn.Linear(width, out_dim, bias=False), nn.BatchNorm1d(out_dim))

    def forward(self, x):
        return self.projector(self.encoder(x))


class GatherRows(torch.autograd.Function):
    """all_gather along the batch that lets gradients back to the rank that made each row."""

    @staticmethod
    def forward(ctx, x):
        ctx.rows = len(x)
        parts = [torch.empty_like(x) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx, grad):
        grad = grad.clone().contiguous()
        dist.all_reduce(grad)
        first = dist.get_rank() * ctx.rows
        return grad[first:first + ctx.rows]


def gather(x):
    if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        return GatherRows.apply(x)
    return x


def nt_xent(za, zb, temperature=0.5):
    """Normalised-temperature cross entropy; row i of za and of zb are two views of one image."""
    za, zb = F.normalize(za.float(), dim=1), F.normalize(zb.float(), dim=1)
    everyone = torch.cat([gather(za), gather(zb)])
    total, local = len(everyone) // 2, len(za)
    offset = dist.get_rank() * local if total != local else 0
    me = torch.arange(local, device=za.device) + offset

    logits = torch.cat([za, zb]) @ everyone.T / temperature
    own = torch.cat([me, me + total])
    partner = torch.cat([me + total, me])
    logits = logits.scatter(1, own[:, None], float("-inf"))
    return F.cross_entropy(logits, partner)
