"""python main.py train --data DIR, and python main.py sample CKPT --label 3."""

import argparse
import copy
from pathlib import Path

import torch
from denoiser import DEFAULT_ARCH, Denoiser
from process import generate, make_tables, training_loss
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

N_WORKERS = 4
PROCESS = {"T": 1000, "s": 0.008, "cap": 0.999}


def pick_device():
    return torch.device("cpu" if not torch.cuda.is_available() else "cuda")


def get_loader(root, size, batch):
    import torchvision.transforms as T
    from torchvision.datasets import ImageFolder

    steps = [T.Resize(size), T.CenterCrop(size), T.RandomHorizontalFlip(), T.ToTensor()]
    steps.append(T.Normalize([0.5, 0.5, 0.5], [0.5, 0.5, 0.5]))
    ds = ImageFolder(root, T.Compose(steps))
    return DataLoader(ds, batch, shuffle=True, num_workers=N_WORKERS, drop_last=True)


def update_average(avg, net, n, top):
    """Moving average whose inertia grows with n, the number of calls so far."""
    d = min(top, n / (10 + n))
    with torch.no_grad():
        for p_avg, p in zip(avg.parameters(), net.parameters()):
            p_avg.copy_(torch.lerp(p_avg, p, 1.0 - d))


def frozen_copy(net):
    twin = copy.deepcopy(net)
    twin.eval()
    for p in twin.parameters():
        p.requires_grad = False
    return twin


def batches_forever(loader):
    it = iter(loader)
    while True:
        try:
            batch = next(it)
        except StopIteration:
            it = iter(loader)
            batch = next(it)
        yield batch


def write_checkpoint(path, net, avg):
    torch.save(dict(arch=net.arch, process=PROCESS, avg=avg.state_dict()), path)


def read_checkpoint(path, device):
    state = torch.load(path, weights_only=True, map_location=device)
    net = Denoiser(**state["arch"])
    net.load_state_dict(state["avg"])
    net.to(device).eval()
    return net, make_tables(**state["process"])


def train(
    net,
    data,
    path,
    device,
    n_iters=200_000,
    lr=2e-4,
    n_warm=1_000,
    max_norm=1.0,
    top=0.9999,
    every_log=100,
    every_ckpt=5_000,
):
    net.to(device)
    tables = make_tables(**PROCESS)
    avg = frozen_copy(net)
    opt = AdamW(net.parameters(), lr, weight_decay=0.0)
    sched = LambdaLR(opt, lambda i: min((i + 1) / n_warm, 1.0))
    losses = []
    i = 0
    while i < n_iters:
        i += 1
        x, y = next(data)
        loss = training_loss(net, tables, x.to(device), y.to(device), net.arch["n_labels"])
        opt.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), max_norm)
        opt.step()
        sched.step()
        update_average(avg, net, i, top)
        losses.append(loss.item())
        if not i % every_log:
            mean = sum(losses) / every_log
            losses.clear()
            print("step {:7d}  loss {:.4f}".format(i, mean), flush=True)
        if i == n_iters or not i % every_ckpt:
            write_checkpoint(path, net, avg)
    return avg


def tile(imgs, n_cols):
    """Paste images in rows; unused cells are black."""
    n, c, h, w = imgs.shape
    n_rows = -(-n // n_cols)
    canvas = -torch.ones(n_rows * h, n_cols * w, c)
    for i in range(n):
        r, k = divmod(i, n_cols)
        canvas[r * h : (r + 1) * h, k * w : (k + 1) * w] = imgs[i].cpu().permute(1, 2, 0)
    return torch.round(127.5 * (canvas + 1.0)).byte()


def write_ppm(path, canvas):
    h, w = canvas.shape[:2]
    with open(path, "wb") as f:
        f.write("P6 {} {} 255\n".format(w, h).encode())
        f.write(canvas.numpy().tobytes())


def run_sample(o):
    device = pick_device()
    net, tables = read_checkpoint(o.ckpt, device)
    size = net.arch["img_size"]
    y = torch.full((o.n,), o.label, device=device)
    shape = (net.arch["img_channels"], size, size)
    imgs = generate(net, tables, y, shape, net.arch["n_labels"], o.steps, o.w, o.eta)
    write_ppm(o.out, tile(imgs, 4))


def run_train(o):
    loader = get_loader(o.data, DEFAULT_ARCH["img_size"], o.batch)
    train(Denoiser(), batches_forever(loader), o.out, pick_device(), n_iters=o.iters)


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    sub = p.add_subparsers(required=True)
    q = sub.add_parser("train")
    q.add_argument("--data", required=True)
    q.add_argument("--out", default="checkpoint.pt")
    q.add_argument("--iters", type=int, default=200_000)
    q.add_argument("--batch", type=int, default=128)
    q.set_defaults(run=run_train)
    q = sub.add_parser("sample")
    q.add_argument("ckpt", type=Path)
    q.add_argument("--label", type=int, default=0)
    q.add_argument("--n", type=int, default=16)
    q.add_argument("--steps", type=int, default=50)
    q.add_argument("--w", type=float, default=2.0)
    q.add_argument("--eta", type=float, default=0.0)
    q.add_argument("--out", default="samples.ppm")
    q.set_defaults(run=run_sample)
    o = p.parse_args()
    o.run(o)
