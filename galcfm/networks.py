"""The two networks: the velocity of the flow, and the encoder of the images.

The default sizes are the paper's (arXiv 2512.05078, section 2).
"""

from collections.abc import Callable
from itertools import pairwise, product
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["ImageEncoder", "VelocityField", "VelocityNetwork"]


class VelocityField(nn.Module):
    r"""A velocity :math:`v(t, x_t, c)` that a flow can integrate.

    A subclass gives `evaluate`. Computations that depend only on the condition can be done in
    `prepare`, which runs once per galaxy instead of once per step. By default,
    `evaluate_with_divergence` is exact, by forward differentiation; `bind` uses it unless a
    subclass overrides it.

    Arguments:
        dim: Dimension :math:`d` of :math:`x`.
    """

    def __init__(self, dim: int):
        super().__init__()
        self.dim = dim

    def prepare(self, condition: Tensor) -> Tensor:
        """Return the part of the velocity that depends only on the condition `(..., c)`."""
        return condition

    def evaluate(self, t: Tensor, x: Tensor, prepared: Tensor) -> Tensor:
        """Return the velocity `(..., d)` at times `t (..., 1)`, points `x (..., d)`, broadcast."""
        raise NotImplementedError

    def evaluate_with_divergence(
        self, t: Tensor, x: Tensor, prepared: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the velocity `(..., d)` and its exact divergence `(...)` with respect to `x`."""
        divergence = torch.zeros(x.shape[:-1], dtype=x.dtype, device=x.device)
        for k in range(self.dim):
            direction = torch.zeros_like(x)
            direction[..., k] = 1
            velocity, tangent = torch.func.jvp(
                lambda x: self.evaluate(t, x, prepared), (x,), (direction,)
            )
            divergence = divergence + tangent[..., k]
        return velocity, divergence

    def bind(
        self, prepared: Tensor, n_samples: int, dtype: torch.dtype | None = None
    ) -> Callable[..., None]:
        """Return the velocity of one block of galaxies as a function for an integrator.

        The function takes `t`, a number, and `x (n, n_samples, d)`. It writes the velocity
        `(n, n_samples, d)` to its third argument and the divergence `(n, n_samples)` to its fourth,
        if given. A subclass may override it to reuse memory between calls; the result is never
        differentiated.

        Arguments:
            prepared: Conditions of the block, as returned by `prepare`, `(n, 1, ...)`.
            n_samples: Number of samples per galaxy.
            dtype: Type of the large products, as in `torch.autocast`, when no divergence is
                computed; None for the type of `prepared`.
        """
        cast = torch.autocast(prepared.device.type, dtype, enabled=dtype is not None)

        def velocity(t: float, x: Tensor, out: Tensor, divergence: Tensor | None = None) -> None:
            time = torch.full((1,), t, dtype=x.dtype, device=x.device)
            if divergence is None:
                with cast:
                    out.copy_(self.evaluate(time, x, prepared))
            else:
                for target, value in zip(
                    (out, divergence), self.evaluate_with_divergence(time, x, prepared), strict=True
                ):
                    target.copy_(value)

        return velocity

    def forward(self, t: Tensor, x: Tensor, condition: Tensor) -> Tensor:
        """Return the velocity `(..., d)` at `t (..., 1)`, `x (..., d)`, `condition (..., c)`."""
        return self.evaluate(t, x, self.prepare(condition))


class VelocityNetwork(VelocityField):
    r"""Multilayer perceptron on :math:`[t; \theta_t; c]` with smooth activations (SiLU).

    With the paper's five properties the input is 11 wide for the photometry model
    (:math:`c = f_\mathrm{phot}`) and 267 wide for the image model
    (:math:`c = [f_\mathrm{img}; f_\mathrm{phot}]`).

    Arguments:
        dim: Dimension :math:`d` of :math:`\theta`.
        condition_dim: Width of the condition; 0 for an unconditional flow.
        width: Width of the hidden layers.
        depth: Number of hidden layers, at least one.
    """

    def __init__(self, dim: int, condition_dim: int, width: int = 256, depth: int = 3):
        super().__init__(dim)
        if depth < 1:
            raise ValueError(f"depth is {depth}: the network needs at least one hidden layer")
        self.condition_dim = condition_dim
        widths = [1 + dim + condition_dim, *[width] * depth]
        self.hidden = nn.ModuleList(nn.Linear(n_in, n_out) for n_in, n_out in pairwise(widths))
        self.output = nn.Linear(width, dim)

    def prepare(self, condition: Tensor) -> Tensor:
        """Return the condition's part of the first layer, `(..., width)`, including the bias."""
        first = self.hidden[0]
        return functional.linear(condition, first.weight[:, 1 + self.dim :], first.bias)

    def _first_layer(self, t: Tensor, x: Tensor, prepared: Tensor) -> Tensor:
        weight = self.hidden[0].weight
        # t and x are multiplied separately: a scalar t then costs one row, not one row per sample.
        return functional.linear(x, weight[:, 1 : 1 + self.dim]) + (
            prepared + functional.linear(t, weight[:, :1])
        )

    def evaluate(self, t: Tensor, x: Tensor, prepared: Tensor) -> Tensor:
        """Return the velocity `(..., d)` at times `t (..., 1)`, points `x (..., d)`, broadcast."""
        h = functional.silu(self._first_layer(t, x, prepared))
        for layer in self.hidden[1:]:
            h = functional.silu(layer(h))
        return self.output(h)

    def bind(
        self, prepared: Tensor, n_samples: int, dtype: torch.dtype | None = None
    ) -> Callable[..., None]:
        """Return the velocity of one block of galaxies, in memory that is allocated once."""
        return _BoundNetwork(self, prepared, n_samples, dtype)

    def restricted(self, dimensions: list[int]) -> "VelocityNetwork":
        r"""Return the same network for some of the dimensions of :math:`\theta`.

        It takes and returns these dimensions alone, and shares the weights, so that its gradients
        are those of this network.
        """
        return _PartOfNetwork(self, dimensions)


class _Layer(NamedTuple):
    """A linear layer with some of another layer's weights."""

    weight: Tensor
    bias: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.weight, self.bias)


class _PartOfNetwork(VelocityNetwork):
    """A `VelocityNetwork` with some of another's dimensions, without parameters of its own."""

    def __init__(self, network: VelocityNetwork, dimensions: list[int]):
        VelocityField.__init__(self, len(dimensions))
        self.condition_dim = network.condition_dim
        first, *others = network.hidden
        time, columns, condition = first.weight.split([1, network.dim, self.condition_dim], 1)
        weight = torch.cat([time, columns[:, dimensions], condition], 1)
        self.hidden = [_Layer(weight, first.bias), *others]
        output = network.output
        self.output = _Layer(output.weight[dimensions], output.bias[dimensions])


class _BoundNetwork:
    r"""A `VelocityNetwork` on the samples of some galaxies; every product is written in place.

    Let :math:`W_x` be the columns of the first weight that multiply :math:`x`, :math:`W_o` the
    output weight, and :math:`s_l` the slopes of the activations. For three hidden layers, the
    divergence is

    .. math:: \sum_k \big[\mathrm{diag}(W_{o,k}) W_3\big]^T s_3 \cdot
        s_2 \cdot \big[W_2\, \mathrm{diag}(W_{x,k})\big] s_1.

    Tangents are propagated forwards to the last layer but one, where they meet the output weights,
    propagated backwards: two products per direction, with bracketed matrices that are computed
    once.

    Arguments:
        network: Network.
        prepared: The condition's part of its first layer, `(n, 1, width)`.
        n_samples: Number of samples per galaxy.
        dtype: Type of the products between hidden layers, or None.
    """

    def __init__(self, network: VelocityNetwork, prepared: Tensor, n_samples: int, dtype=None):
        self.prepared = prepared
        n, width, dim = len(prepared), prepared.shape[-1], network.dim
        self.shape = (n, n_samples, width)
        first = network.hidden[0].weight
        self.time_weight, self.weight = first[:, 0], first[:, 1 : 1 + dim].T
        self.layers = [
            (layer.weight.T.to(dtype), layer.bias.to(dtype)) for layer in network.hidden[1:]
        ]
        self.output = network.output
        self.shift = torch.empty_like(prepared)
        # Two buffers alternate as input and output of a layer.
        self.buffers = tuple(prepared.new_empty(2, n * n_samples, width))
        # Two more buffers alternate where products have another type. Activations, which would be
        # slower in this type, and everything else keep theirs.
        self.cast = None
        if dtype is not None:
            self.cast = tuple(prepared.new_empty(2, n * n_samples, width, dtype=dtype))
        self.velocity = prepared.new_empty(dim, n * n_samples)
        self.slopes: Tensor | None = None

    def __call__(self, t: float, x: Tensor, out: Tensor, divergence: Tensor | None = None) -> None:
        """Write the velocity, and the divergence if given, of `x (n, n_samples, d)`."""
        h, spare = self.buffers
        torch.add(self.prepared, self.time_weight, alpha=t, out=self.shift)
        h.view(self.shape).copy_(self.shift)
        h.addmm_(x.view(-1, x.shape[-1]), self.weight)
        if divergence is not None and self.slopes is None:
            self._allocate_tangents()
        for depth, (weight, bias) in enumerate(self.layers):
            self._activate(h, depth, divergence is not None)
            if self.cast is None:
                torch.addmm(bias, h, weight, out=spare)
                h, spare = spare, h
            else:
                given, found = self.cast
                h.copy_(torch.addmm(bias, given.copy_(h), weight, out=found))
        self._activate(h, len(self.layers), divergence is not None)
        # Products with so few columns are faster as rows.
        torch.mm(self.output.weight, h.T, out=self.velocity)
        torch.add(self.velocity.T, self.output.bias, out=out.view(-1, out.shape[-1]))
        if divergence is not None:
            torch.sum(self._trace(h, spare), -1, out=divergence.view(-1))

    def _activate(self, h: Tensor, depth: int, with_slope: bool) -> None:
        if not with_slope:
            functional.silu(h, inplace=True)
            return
        # h = z s and its slope s + h - h s, where s is the logistic function of z.
        slope = torch.sigmoid(h, out=self.slopes[depth])
        h.mul_(slope)
        slope.addcmul_(h, slope, value=-1).add_(h)

    def _allocate_tangents(self) -> None:
        self.total = torch.empty_like(self.buffers[0])
        self.slopes = self.total.new_empty(len(self.layers) + 1, *self.total.shape)
        output = self.output.weight
        if not self.layers:
            self.forward = self.backward = None
            return
        # The first layer's tangents are the rows of `weight`; the last layer's are the output's.
        self.forward = self.weight.unsqueeze(-1) * self.layers[0][0]
        last = self.layers[-1][0].T if len(self.layers) > 1 else None
        self.backward = None if last is None else output.unsqueeze(-1) * last

    def _trace(self, a: Tensor, b: Tensor) -> Tensor:
        """Return terms `(rows, width)` that sum to the divergence; `a` and `b` are overwritten."""
        output, total = self.output.weight, self.total
        if self.forward is None:
            return torch.mul(self.slopes[0], (self.weight * output).sum(0), out=total)
        total.zero_()
        for k, start in enumerate(self.forward):
            torch.mm(self.slopes[0], start, out=a)
            for depth, (weight, _) in enumerate(self.layers[1:-1], start=1):
                a.mul_(self.slopes[depth])
                torch.mm(a, weight, out=b)
                a, b = b, a
            if self.backward is None:
                total.addcmul_(a, output[k])
            else:
                torch.mm(self.slopes[-1], self.backward[k], out=b)
                total.addcmul_(a, b)
        return total.mul_(self.slopes[-1 if self.backward is None else -2])


class ImageEncoder(nn.Module):
    r"""Convolutional encoder from cutouts to :math:`f_\mathrm{img}`.

    Four convolutional blocks with stride 1, each followed by average pooling, then global average
    pooling. Average instead of maximum pooling keeps the light of extended discs (the paper,
    section 2.2). A block is a 3×3 convolution, batch normalisation and SiLU; the paper does not
    name its normalisation. Standardisation of the pixels is part of the model: set it with
    `standardise`.

    Cutouts are colour images, uint8 with channels i, r, g, or linear: fluxes per pixel, float32, in
    any bands. The flux :math:`F` in a bin of a linear cutout is stretched to
    :math:`\operatorname{asinh}(F / b)` with the noise :math:`b` of its channel. It is then linear
    for faint pixels and logarithmic for bright ones (Lupton, Gunn & Szalay 1999, AJ 118, 1406).

    Arguments:
        n_features: Width of :math:`f_\mathrm{img}`.
        widths: Numbers of channels of the blocks.
        crop: Width of the central square that is kept, in pixels.
        bin_factor: Width of the bins over which pixels are averaged, or fluxes summed, after
            cropping, in pixels.
        channels: Number of channels: 3 for colour images, the number of bands for linear cutouts.
        linear: Whether the cutouts are linear.
    """

    def __init__(
        self,
        n_features: int = 256,
        widths: tuple[int, ...] = (32, 64, 128, 256),
        crop: int = 128,
        bin_factor: int = 1,
        channels: int = 3,
        linear: bool = False,
    ):
        super().__init__()
        if crop % bin_factor or crop // bin_factor < 2 ** len(widths):
            raise ValueError(
                f"a crop of {crop} pixels in bins of {bin_factor} is too small for "
                f"{len(widths)} poolings by two: use a larger crop or a smaller bin_factor"
            )
        self.n_features = n_features
        self.crop = crop
        self.bin_factor = bin_factor
        self.linear = linear
        self.register_buffer("pixel_mean", torch.zeros(channels))
        self.register_buffer("pixel_std", torch.full((channels,), 255.0))
        if linear:
            self.register_buffer("softening", torch.ones(channels))
        self.blocks = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv2d(n_in, n_out, 3, padding=1, bias=False),
                    nn.BatchNorm2d(n_out),
                    nn.SiLU(),
                    nn.AvgPool2d(2),
                )
                for n_in, n_out in pairwise([channels, *widths])
            )
        )
        # With the paper's sizes the last block already has n_features channels.
        same = widths[-1] == n_features
        self.head = nn.Identity() if same else nn.Linear(widths[-1], n_features)

    def bin(self, images: Tensor) -> Tensor:
        """Crop images `(n, H, W, c)` and sum over their bins, `(n, h, w, c)`.

        The sums of uint8 images are integers, and exact. They are computed once per training; they
        commute with rotations and reflections of the images. The sums of linear cutouts are the
        fluxes of larger pixels.
        """
        top, left = (images.shape[1] - self.crop) // 2, (images.shape[2] - self.crop) // 2
        if top < 0 or left < 0:
            raise ValueError(
                f"images of {images.shape[1]}×{images.shape[2]} pixels are smaller than the "
                f"model's crop of {self.crop}"
            )
        images = images[:, top : top + self.crop, left : left + self.crop]
        k = self.bin_factor
        if k == 1:
            return images
        dtype = torch.int16 if 255 * k**2 < 1 << 15 else torch.int32
        dtype = images.dtype if self.linear else dtype
        total = torch.zeros_like(images[:, ::k, ::k], dtype=dtype)
        for row, column in product(range(k), range(k)):
            total += images[:, row::k, column::k]
        return total

    def prepare(self, binned: Tensor) -> Tensor:
        """Stretch and standardise images that `bin` returned, float `(n, c, h, w)`."""
        h, w, channels = binned.shape[1:]
        # Pixels are processed in rows, because three channels are too few for the CPU's vectors.
        scale = (1 / (self.pixel_std * (1 if self.linear else self.bin_factor**2))).repeat(w)
        shift = (self.pixel_mean / self.pixel_std).repeat(w)
        x = binned.reshape(-1, h, channels * w).to(shift.dtype, copy=True)
        if self.linear:
            x.div_(self.softening.repeat(w)).asinh_()
        x.mul_(scale).sub_(shift)
        # The memory (n, h, w, c) already has the layout of channels_last convolutions.
        return x.view(-1, h, w, channels).permute(0, 3, 1, 2)

    def standardise(self, images: Tensor) -> None:
        """Set the statistics of each channel from images of the training split.

        They are the mean and standard deviation of the pixels, and for linear cutouts the noise,
        1.4826 times the median absolute deviation of the binned fluxes, or their standard deviation
        if more than half of them are equal.
        """
        binned = self.bin(images)
        if self.linear:
            fluxes = binned.flatten(0, 2)
            noise = 1.4826 * (fluxes - fluxes.median(0).values).abs().median(0).values
            noise = torch.where(noise > 0, noise, fluxes.std(0))
            self.softening.copy_(torch.where(noise > 0, noise, 1))
        self.pixel_mean.zero_()
        self.pixel_std.fill_(1)
        x = self.prepare(binned)
        self.pixel_mean.copy_(x.mean((0, 2, 3)))
        self.pixel_std.copy_(x.std((0, 2, 3)).clamp_min(1e-3))

    def encode(self, binned: Tensor) -> Tensor:
        """Return features `(n, n_features)` of images that `bin` returned."""
        return self.head(self.blocks(self.prepare(binned)).mean((2, 3)))

    def forward(self, images: Tensor) -> Tensor:
        """Return features `(n, n_features)` of images `(n, H, W, c)`."""
        return self.encode(self.bin(images))
