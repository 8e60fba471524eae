import argparse
from pathlib import Path


def parse_options():
    parser = argparse.ArgumentParser(description="Novel view synthesis: train, test or make a video")
    parser.add_argument("mode", choices=["train", "test", "video"])
    parser.add_argument("--data_dir", type=Path, required=True)
    parser.add_argument("--log_dir", type=Path, default=Path("logs"))
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--scale", type=int, default=2, help="image downsampling factor")

    # rays
    parser.add_argument("--near", type=float, default=2.0)
    parser.add_argument("--far", type=float, default=6.0)
    parser.add_argument("--n_samples", type=int, default=64)
    parser.add_argument("--n_importance", type=int, default=128)

    # training
    parser.add_argument("--batch_size", type=int, default=2048)
    parser.add_argument("--max_iters", type=int, default=150000)
    parser.add_argument("--lr", type=float, default=5e-4)
    parser.add_argument("--lr_decay", type=int, default=250000)
    parser.add_argument("--print_every", type=int, default=200)
    parser.add_argument("--ckpt_every", type=int, default=10000)

    # video
    parser.add_argument("--n_frames", type=int, default=90)
    parser.add_argument("--radius", type=float, default=4.0)
    parser.add_argument("--elevation", type=float, default=30.0)
    return parser.parse_args()
