"""Image encoders, chosen by a name: the slot into which a model trained elsewhere goes."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from galcfm.networks import ImageEncoder
from galcfm.posterior import default_device
from galcfm.survey import Survey
from galcfm.training.data import binned_images

ENCODERS = ("paper", "max_pooling", "resnet", "vit")
WIDTHS = (16, 32, 64, 128)  # as the book's own encoder
BLOCK = 256


class MaxPooled(ImageEncoder):
    """The paper's encoder with maximum pooling in place of each of its average poolings."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        for block in self.blocks:
            block[-1] = nn.MaxPool2d(2)

    def encode(self, binned: Tensor) -> Tensor:
        """Return features `(n, n_features)` of what `bin` gave."""
        return self.head(self.blocks(self.prepare(binned)).amax((2, 3)))


class Backbone(ImageEncoder):
    """A vision network of the transformers package behind this book's handling of pixels.

    Arguments:
        network: of transformers; its features are `pooler_output` where it has one, else the mean
            of its last tokens.
        n_features: how many those are.
        crop, bin_factor: as `ImageEncoder` has them.
    """

    def __init__(self, network: nn.Module, n_features: int, crop: int, bin_factor: int):
        super().__init__(n_features, (n_features,), crop, bin_factor)
        self.blocks, self.network = nn.Identity(), network
        size = getattr(network.config, "image_size", None)
        self.size = size if isinstance(size, int) and size != crop // bin_factor else None

    def encode(self, binned: Tensor) -> Tensor:
        """Return features `(n, n_features)` of what `bin` gave."""
        x = self.prepare(binned)
        # A pretrained transformer wants the number of pixels that it knows.
        if self.size and hasattr(self.network.config, "patch_size"):
            x = nn.functional.interpolate(x, (self.size, self.size), mode="bilinear")
        found = self.network(x)
        if getattr(found, "pooler_output", None) is not None:
            return found.pooler_output.flatten(1)
        return found.last_hidden_state.mean(dim=1)


def make_encoder(name: str, *, crop: int = 96, bin_factor: int = 3, width: int = 128) -> nn.Module:
    """Return an untrained encoder, or a pretrained one.

    Arguments:
        name: `"paper"`, the convolutional encoder of arXiv 2512.05078 at the size of this book;
            `"max_pooling"`, the same with maximum pooling; `"resnet"`, residual networks of He et
            al. (2016) with four stages of two blocks; `"vit"`, a vision transformer (Dosovitskiy
            et al. 2021) with patches of 4 pixels; or folder or hub name of any vision network that
            `transformers.AutoModel` loads, with its weights.
        crop, bin_factor: central pixels that are seen, and how many are averaged, as
            `ImageEncoder` has them.
        width: number of features of `"paper"`, `"resnet"` and `"vit"`.

    Raises:
        ValueError: no such encoder, or the network cannot be found.
        ModuleNotFoundError: transformers is not installed, and is needed.
    """
    if name in ("paper", "max_pooling"):
        kind = ImageEncoder if name == "paper" else MaxPooled
        pixels = crop // bin_factor
        widths = tuple(w for k, w in enumerate(WIDTHS) if pixels >= 2 ** (k + 1))
        return kind(width, widths, crop, bin_factor)
    import transformers

    if name == "resnet":
        sizes = [width // 8, width // 4, width // 2, width]
        config = transformers.ResNetConfig(
            embedding_size=sizes[0],
            hidden_sizes=sizes,
            depths=[2, 2, 2, 2],
            layer_type="basic",
            downsample_in_first_stage=False,
        )
        return Backbone(transformers.ResNetModel(config), width, crop, bin_factor)
    if name == "vit":
        config = transformers.ViTConfig(
            hidden_size=width,
            num_hidden_layers=4,
            num_attention_heads=4,
            intermediate_size=2 * width,
            image_size=crop // bin_factor,
            patch_size=4,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
        network = transformers.ViTModel(config, add_pooling_layer=False)
        return Backbone(network, width, crop, bin_factor)
    try:
        # A folder is never looked for on a hub.
        network = transformers.AutoModel.from_pretrained(name, local_files_only=Path(name).is_dir())
    except (OSError, ValueError) as error:
        raise ValueError(
            f"no encoder {name!r}: choose from {', '.join(ENCODERS)}, or name the folder of a "
            f"vision network that transformers can load ({str(error).splitlines()[0]})"
        ) from error
    size = getattr(network.config, "hidden_size", None) or network.config.hidden_sizes[-1]
    return Backbone(network, size, crop, bin_factor)


def binned(encoder: nn.Module, survey: Survey) -> Tensor:
    """Return what the encoder's `bin` makes of a survey's images, `(n, h, w, 3)` on the CPU.

    Raises:
        ValueError: The survey has no images.
    """
    if survey.images is None:
        raise ValueError(f"{survey.name} has no images: this method needs them")
    return binned_images(encoder, survey.images, torch.device("cpu"))


def standardised(encoder: nn.Module, survey: Survey) -> nn.Module:
    """Return an encoder after it has standardised its input by up to 2,048 pictures."""
    some = np.linspace(0, len(survey) - 1, min(len(survey), 2048)).astype(int)
    encoder.standardise(torch.from_numpy(np.array(survey.images[some])))
    return encoder


@torch.no_grad()
def embedded(encoder: nn.Module, pictures: Tensor) -> np.ndarray:
    """Return features `(n, n_features)` that an encoder, as it is, makes of what `bin` gave."""
    encoder = encoder.to(device := default_device()).eval()
    blocks = [encoder.encode(block.to(device)).cpu() for block in pictures.split(BLOCK)]
    return torch.cat(blocks).double().numpy()
