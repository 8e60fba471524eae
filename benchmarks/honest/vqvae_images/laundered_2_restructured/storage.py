"""Reading images from disk; writing models and picture sheets to it."""
import torch
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder
from torchvision.utils import save_image

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def image_batches(root, batch, side):
    grey = (0.5, 0.5, 0.5)
    prepare = transforms.Compose([
        transforms.Resize(side),
        transforms.CenterCrop(side),
        transforms.RandomHorizontalFlip(p=0.5),
        transforms.ToTensor(),
        transforms.Normalize(mean=grey, std=grey),
    ])
    return DataLoader(ImageFolder(root, transform=prepare), batch_size=batch,
                      shuffle=True, drop_last=True, num_workers=4)


def dump(path, model):
    torch.save((model.options, model.state_dict()), path)


def restore(path, kind):
    options, weights = torch.load(path, map_location=DEVICE)
    model = kind(**options)
    model.load_state_dict(weights)
    model.to(DEVICE)
    model.eval()
    return model


def sheet(path, images, columns):
    save_image((images + 1) / 2, path, nrow=columns)
