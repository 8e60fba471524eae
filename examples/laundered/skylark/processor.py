import json
import os

import numpy as np
import torch
from transformers import BatchFeature

from .image_processing import split_image

DEFAULT_PROMPT = "Tell me what is written here, as if to a colleague on the telephone."


def load_settings(path):
    with open(os.path.join(path, "preprocessor_config.json")) as f:
        return json.load(f)


def normalize(img, mean, std):
    arr = (np.asarray(img, dtype=np.float32) / 255.0 - np.array(mean, dtype=np.float32)) / np.array(std, dtype=np.float32)
    return torch.from_numpy(arr).permute(2, 0, 1)


def build_prompt(n_w, n_h, query, num_tokens):
    img_tokens = "<|patch|>" * num_tokens
    prompt = "<|page|>" + img_tokens + "<|/page|>"
    if n_w * n_h > 1:
        prompt += "".join([f"<|row|>{i}/{n_h}" + ("<|tile|>" + img_tokens) * n_w + "\n" for i in range(1, n_h + 1)])
    return "<|begin|>" + prompt + "<|question|>" + (query or DEFAULT_PROMPT).strip() + "<|answer|>"


def prepare(tokenizer, settings, images, queries, responses=None):
    prompts, crops, boxes, valid, is_crop = [], [], [], [], []
    for img, query in zip(images, queries):
        (n_w, n_h), img_crops, img_boxes, img_valid = split_image(
            img, settings["tile_budget"], settings["tile_edge"], settings["seam_pixels"], settings["patch_size"])
        crops += [normalize(c, settings["image_mean"], settings["image_std"]) for c in img_crops]
        is_crop += [k > 0 for k in range(len(img_crops))]
        boxes += img_boxes
        valid += img_valid
        prompts.append(build_prompt(n_w, n_h, query, settings["latent_count"]))

    if responses is None:
        tokenizer.padding_side = "left"
    else:
        tokenizer.padding_side = "right"
        prompts = [p + r.strip() + "<|end|>" for p, r in zip(prompts, responses)]
    tokens = tokenizer(prompts, add_special_tokens=False, padding=True, return_tensors="pt")
    ids, attn = tokens["input_ids"], tokens["attention_mask"]
    inputs = {"input_ids": ids, "attention_mask": attn, "pixel_values": torch.stack(crops),
              "boxes": torch.tensor(boxes, dtype=torch.float32), "valid": torch.tensor(valid, dtype=torch.long),
              "is_crop": torch.tensor(is_crop, dtype=torch.bool)}
    if responses is not None:
        sep = (ids == tokenizer.convert_tokens_to_ids("<|answer|>")).long()
        inputs["labels"] = ids.masked_fill((sep.cumsum(1) - sep == 0) | (attn == 0), -100)
    return BatchFeature(inputs)
