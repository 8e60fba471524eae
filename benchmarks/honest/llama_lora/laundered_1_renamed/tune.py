# Train the patches:
#     python tune.py --records lessons.jsonl --weights weights.pt

import argparse
import math

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader

from network import PebbleNet, PebbleSettings
from patches import put_patches, write_patches
from records import SKIP, RecordSet, Utf8Codec, batch_builder


def pace(done, ramp, planned, lowest=0.1):
    if done < ramp:
        return (done + 1) / ramp
    share = min(
        1.0,
        (done - ramp) / max(1, planned - ramp),
    )
    return lowest + (1 - lowest) * 0.5 * (1 + math.cos(math.pi * share))


def tune(opts):
    torch.manual_seed(opts.random_seed)
    place = "cuda" if torch.cuda.is_available() else "cpu"
    codec = Utf8Codec()
    network = PebbleNet(PebbleSettings(n_tokens=codec.n_tokens))
    if opts.weights:
        network.load_state_dict(
            torch.load(opts.weights, map_location="cpu")
        )
    put_patches(
        network,
        opts.places,
        opts.thickness,
        opts.strength,
        opts.drop,
    )
    network.to(place).train()
    learned = [
        weight
        for weight in network.parameters()
        if weight.requires_grad
    ]
    print(f"{sum(weight.numel() for weight in learned):,} trainable parameters")

    feeder = DataLoader(
        RecordSet(opts.records, codec, opts.limit),
        opts.rows,
        shuffle=True,
        collate_fn=batch_builder(codec.filler),
    )
    planned = opts.rounds * math.ceil(len(feeder) / opts.gather)
    ramp = max(1, int(opts.ramp * planned))
    adam = torch.optim.AdamW(
        learned,
        lr=opts.rate,
        weight_decay=opts.shrink,
    )
    pacer = torch.optim.lr_scheduler.LambdaLR(
        adam,
        lambda done: pace(done, ramp, planned),
    )
    mixed = place == "cuda"
    number_type = (
        torch.float16
        if mixed and not torch.cuda.is_bf16_supported()
        else torch.bfloat16
    )
    upscaler = torch.cuda.amp.GradScaler(
        enabled=number_type == torch.float16
    )

    done = 0
    for turn in range(opts.rounds):
        bundle = []
        for position, rows in enumerate(feeder):
            bundle.append([tensor.to(place) for tensor in rows])
            if (
                len(bundle) < opts.gather
                and position + 1 < len(feeder)
            ):
                continue
            # the divisor counts scored tokens over the entire bundle
            scored = sum(
                (goals[:, 1:] != SKIP).sum()
                for _, goals, _ in bundle
            )
            shown = 0.0
            for tokens, goals, valid in bundle:
                with torch.autocast(place, dtype=number_type, enabled=mixed):
                    scores = network(tokens, valid)[:, :-1]
                cost = (
                    F.cross_entropy(
                        scores.flatten(0, 1).float(),
                        goals[:, 1:].flatten(),
                        ignore_index=SKIP,
                        reduction="sum",
                    )
                    / scored
                )
                upscaler.scale(cost).backward()
                shown += cost.item()
            upscaler.unscale_(adam)
            size = torch.nn.utils.clip_grad_norm_(learned, opts.ceiling)
            upscaler.step(adam)
            upscaler.update()
            adam.zero_grad(set_to_none=True)
            pacer.step()
            bundle, done = [], done + 1
            if done % opts.report_every == 0:
                print(
                    f"epoch {turn} step {done}/{planned} "
                    f"loss {shown:.4f} grad {size:.2f}"
                )
        write_patches(network, opts.patch_file)


if __name__ == "__main__":
    cli = argparse.ArgumentParser()
    cli.add_argument("--records", required=True)
    cli.add_argument("--weights")
    cli.add_argument("--patch-file", default="patches.pt")
    cli.add_argument(
        "--places",
        nargs="+",
        default=["to_query", "to_key", "to_value", "to_out"],
    )
    for option, value in dict(
        thickness=8,
        strength=16.0,
        drop=0.05,
        rounds=3,
        rows=4,
        gather=8,
        limit=512,
        rate=2e-4,
        shrink=0.0,
        ramp=0.03,
        ceiling=1.0,
        report_every=10,
        random_seed=0,
    ).items():
        cli.add_argument(
            "--" + option.replace("_", "-"),
            type=type(value),
            default=value,
        )
    tune(cli.parse_args())
