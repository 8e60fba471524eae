import numpy as np
import torch
import torch.nn.functional as F

from cameras import orbit_poses
from dataset import BlenderDataset
from options import parse_options
from renderer import HierarchicalRenderer
from utils import compute_psnr, compute_ssim, depth_to_png, to_png


def create_model(opt, device):
    model = HierarchicalRenderer(opt.near, opt.far, opt.n_samples, opt.n_importance)
    return model.to(device)


def load_model(opt, device):
    model = create_model(opt, device)
    ckpt = torch.load(opt.log_dir / "checkpoint.pth", map_location=device)
    model.load_state_dict(ckpt["net"])
    return model


def run_eval(model, dataset, opt, max_views=None, out_dir=None):
    n = len(dataset)
    if max_views:
        n = min(n, max_views)
    psnrs, ssims = [], []
    for i in range(n):
        rgb, depth = model.render_view(*dataset.get_rays(dataset.poses[i]))
        gt = dataset.images[i]
        psnrs.append(compute_psnr(rgb, gt))
        ssims.append(compute_ssim(rgb, gt))
        if out_dir is not None:
            to_png(rgb, out_dir / f"rgb_{i:03d}.png")
            depth_to_png(depth, opt.near, opt.far, out_dir / f"depth_{i:03d}.png")
    return np.mean(psnrs), np.mean(ssims)


def run_video(opt, device):
    model = load_model(opt, device)
    dataset = BlenderDataset(opt.data_dir, "test", opt.scale)
    out_dir = opt.log_dir / "video"
    out_dir.mkdir(exist_ok=True)
    poses = orbit_poses(opt.n_frames, opt.radius, opt.elevation)
    for i, c2w in enumerate(poses):
        rgb, _ = model.render_view(*dataset.get_rays(c2w))
        to_png(rgb, out_dir / f"{i:04d}.png")
        print(f"rendered {i + 1} of {len(poses)}")


def run_test(opt, device):
    out_dir = opt.log_dir / "results"
    out_dir.mkdir(exist_ok=True)
    dataset = BlenderDataset(opt.data_dir, "test", opt.scale)
    model = load_model(opt, device)
    psnr, ssim = run_eval(model, dataset, opt, out_dir=out_dir)
    print(f"Test set ({len(dataset)} images): PSNR = {psnr:.3f}, SSIM = {ssim:.4f}")


def run_train(opt, device):
    train_set = BlenderDataset(opt.data_dir, "train", opt.scale)
    val_set = BlenderDataset(opt.data_dir, "val", opt.scale)
    rays_o, rays_d, rgbs = train_set.ray_buffer()

    model = create_model(opt, device)
    optimizer = torch.optim.Adam(model.parameters(), lr=opt.lr)
    start = 0
    ckpt_path = opt.log_dir / "checkpoint.pth"
    if ckpt_path.exists():
        ckpt = torch.load(ckpt_path, map_location=device)
        model.load_state_dict(ckpt["net"])
        optimizer.load_state_dict(ckpt["optim"])
        start = ckpt["iter"]
        print(f"Loaded checkpoint from iteration {start}")

    for it in range(start + 1, opt.max_iters + 1):
        lr = opt.lr * 0.1 ** ((it - 1) / opt.lr_decay)
        for group in optimizer.param_groups:
            group["lr"] = lr

        model.train()
        idx = torch.randint(len(rgbs), (opt.batch_size,))
        gt = rgbs[idx].to(device)
        rgb_coarse, rgb_fine, _ = model(rays_o[idx].to(device), rays_d[idx].to(device))
        loss_coarse = F.mse_loss(rgb_coarse, gt)
        loss_fine = F.mse_loss(rgb_fine, gt)
        loss = loss_coarse + loss_fine

        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

        if it % opt.print_every == 0:
            psnr = -10 * np.log10(loss_fine.item())
            print(f"[{it}/{opt.max_iters}] loss: {loss.item():.5f} psnr: {psnr:.2f} lr: {lr:.2e}")
        if it % opt.ckpt_every == 0 or it == opt.max_iters:
            torch.save({"iter": it, "net": model.state_dict(), "optim": optimizer.state_dict()},
                       ckpt_path)
            psnr, ssim = run_eval(model, val_set, opt, max_views=3)
            print(f"[{it}] val psnr: {psnr:.2f} val ssim: {ssim:.4f}")


if __name__ == "__main__":
    opt = parse_options()
    torch.manual_seed(opt.seed)
    opt.log_dir.mkdir(parents=True, exist_ok=True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if opt.mode == "train":
        run_train(opt, device)
    elif opt.mode == "test":
        run_test(opt, device)
    else:
        run_video(opt, device)
