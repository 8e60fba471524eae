"""python draw.py sample ck.pt out.png [T ...]
python draw.py between ck.pt out.png a.png b.png [n]"""
import sys

import torch

from train import build, pixels, sheet


def get(p):
    s = torch.load(p, map_location="cpu")
    f = build(s["C"])
    f.load_state_dict(s["e"])
    return f.eval().to("cuda" if torch.cuda.is_available() else "cpu"), s["C"]


def arc(a, b, t):
    """Great circle between latent vectors, norms interpolated linearly; keeps the typical radius."""
    u, v = a.flatten(), b.flatten()
    nu, nv = u.norm(), v.norm()
    w = torch.acos((u @ v / (nu * nv)).clamp(-1 + 1e-6, 1 - 1e-6))
    y = (torch.sin((1 - t) * w) * u / nu + torch.sin(t * w) * v / nv) / torch.sin(w)
    return (y * ((1 - t) * nu + t * nv)).reshape(a.shape)


@torch.no_grad()
def main():
    if len(sys.argv) < 4:
        raise SystemExit(__doc__)
    mode, ck, out, rest = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
    f, c = get(ck)
    dev = f.top.device
    if mode == "sample":
        # the same noise in every row, only the temperature changes
        Ts = [float(t) for t in rest] or [0.0, 0.5, 0.7, 0.85, 1.0]
        Z = [torch.randn(8, *s, device=dev) for s in f.zs]
        sheet(out, torch.cat([f.decode([T * z for z in Z]) for T in Ts]))
    elif mode == "between":
        n = int(rest[2]) if len(rest) > 2 else 9
        x = torch.stack([pixels(p, c["size"]) for p in rest[:2]]).to(dev)
        Z, lp = f.encode(x)
        print("nats:", *(f"{v:.1f}" for v in lp.tolist()))
        sheet(out, f.decode([torch.stack([arc(z[0], z[1], t) for t in torch.linspace(0, 1, n).tolist()]) for z in Z]), n)
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
