import math
from PIL import Image

BACKGROUND = (236, 233, 226)


def get_best_grid(img_w, img_h, max_crops, crop_size, overlap):
    """Search all the crop grids for the one with the lowest score."""
    lowest, result = math.inf, (1, 1)
    for n_h in range(1, max_crops + 1):
        for n_w in range(1, max_crops // n_h + 1):
            grid_w, grid_h = n_w * crop_size - (n_w - 1) * overlap, n_h * crop_size - (n_h - 1) * overlap
            ratio = min(grid_w / img_w, grid_h / img_h)
            used = (img_w * ratio) * (img_h * ratio) / (grid_w * grid_h)
            score = 1.7 * max(0.0, -math.log2(ratio)) + (1.0 - used) + 0.045 * n_w * n_h
            if score <= lowest:
                lowest, result = score, (n_w, n_h)
    return result


def resize_and_pad(img, target_w, target_h):
    ratio = min(target_w / img.width, target_h / img.height)
    new_size = (max(1, round(img.width * ratio)), max(1, round(img.height * ratio)))
    padded = Image.new("RGB", (target_w, target_h), BACKGROUND)
    padded.paste(img.resize(new_size, Image.LANCZOS), (0, 0))
    return padded, *new_size


def count_valid(length, start, crop_size, patch_size):
    return min(max(length - start, 0), crop_size) // patch_size


def split_image(img, max_crops=8, crop_size=384, overlap=32, patch_size=16):
    """Returns the crop grid, the crops, their boxes and the number of valid patches in each."""
    img = img.convert("RGB")
    n_w, n_h = get_best_grid(img.width, img.height, max_crops, crop_size, overlap)

    thumbnail, w, h = resize_and_pad(img, crop_size, crop_size)
    crops = [thumbnail]
    boxes = [(0.0, 0.0, crop_size / w, crop_size / h)]
    valid = [(count_valid(w, 0, crop_size, patch_size), count_valid(h, 0, crop_size, patch_size))]

    if n_w * n_h > 1:
        full, w, h = resize_and_pad(
            img, n_w * crop_size - (n_w - 1) * overlap, n_h * crop_size - (n_h - 1) * overlap)
        stride = crop_size - overlap
        corners = [(j * stride, i * stride) for i in range(n_h) for j in range(n_w)]
        crops += [full.crop((x, y, x + crop_size, y + crop_size)) for x, y in corners]
        boxes += [(x / w, y / h, (x + crop_size) / w, (y + crop_size) / h) for x, y in corners]
        valid += [(count_valid(w, x, crop_size, patch_size), count_valid(h, y, crop_size, patch_size))
                  for x, y in corners]

    return (n_w, n_h), crops, boxes, valid
