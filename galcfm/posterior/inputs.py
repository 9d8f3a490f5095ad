"""Inputs of a model: accepted, or refused with a sentence that says what to do.

Arrays of NumPy, PyTorch and pandas are accepted, and columns of tables by their names. Masked
values, units other than magnitudes and images of another size are refused, because as plain numbers
they would give a wrong posterior.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral

import numpy as np
import torch
from scipy.integrate import cumulative_trapezoid

from galcfm.properties import PROPERTY_NAMES, Declaration, Embedding
from galcfm.survey.rules import image_kind

UNITS = ("", "mag", "mag(AB)", "ABmag", "dex")


class ModelError(ValueError):
    """A model cannot be loaded or cannot take this input; the message gives the remedy."""


def require_rows(good: np.ndarray, what: str, remedy: str = "remove these galaxies") -> None:
    """Refuse galaxies with a fault.

    Arguments:
        good: Whether a galaxy can be used, shape `(n,)`.
        what: Fault of the other galaxies, for the message.
        remedy: Remedy, for the message.

    Raises:
        ModelError: A galaxy cannot be used; the message gives the first row and the number of rows.
    """
    if not np.all(good):
        raise ModelError(
            f"row {int(np.argmin(good))}: {what} ({np.sum(~good)} such rows): {remedy}"
        )


@dataclass(frozen=True)
class Observation:
    """Observations of some galaxies, as arrays of NumPy, PyTorch or pandas.

    Arguments:
        magnitudes: AB magnitudes in u, g, r, i, z, or in the bands of the model, Galactic
            extinction removed, shape `(n, 5)`.
        images: Cutouts, uint8, channels i, r, g, shape `(n, 128, 128, 3)`.
        redshift: Redshifts, shape `(n,)`, or k equally likely ones per galaxy, shape `(n, k)`.
        magnitude_errors: Standard deviations of the magnitudes, shape `(n, 5)`.
        embeddings: Embeddings by name, each of shape `(n, length)`.
    """

    magnitudes: object
    images: object = None
    redshift: object = None
    magnitude_errors: object = None
    embeddings: Mapping | None = None

    def used(self, name: str, is_used: bool):
        """Return an input that the model uses, or None.

        Raises:
            ModelError: A needed input is missing, or the model does not use a given input.
        """
        values, kind = getattr(self, name), name.replace("_", " ").removesuffix("s")
        if is_used and values is None:
            raise ModelError(f"this model was trained with {kind}s: give {name}")
        if not is_used and values is not None:
            raise ModelError(f"this model was trained without {kind}s: leave {name} out")
        return values


def default_device(device=None) -> torch.device:
    """Return a device, by default the GPU if PyTorch finds a CUDA one, otherwise the CPU.

    Raises:
        ModelError: There is no such device, or PyTorch cannot use it here.
    """
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError, TypeError) as error:
        raise ModelError(
            f"device is {device!r}, which PyTorch cannot use here: give 'cpu', or 'cuda' on a "
            "machine with a GPU"
        ) from error


def plain_array(
    name: str, values, columns: Sequence[str] = (), *, gaps: bool = False
) -> np.ndarray:
    """Return the values of an array of any library.

    Arguments:
        name: Name of the argument, for messages.
        values: Array, tensor, table or nested list.
        columns: Columns of a table, in the required order.
        gaps: Whether masked values are allowed; they become NaN.

    Raises:
        ModelError: A value is masked, a table lacks a column, or the unit is not a magnitude.
    """
    unit = getattr(values, "unit", None)
    if unit is not None and str(unit) not in UNITS:
        raise ModelError(
            f"{name} is in {unit}: plain numbers are needed, magnitudes in AB mag; convert it "
            "(galcfm.Survey.from_table does so for tables of fluxes)"
        )
    if hasattr(values, "columns"):
        missing = [column for column in columns if column not in values.columns]
        if missing or not columns:
            lacks = f" without {', '.join(missing)}" if missing else ""
            raise ModelError(
                f"{name} is a table{lacks}: give an array, or the columns under these names"
            )
        values = values[list(columns)]
    if hasattr(values, "to_numpy"):
        values = values.to_numpy()
    elif isinstance(values, torch.Tensor):
        values = values.detach().cpu()
    mask = getattr(values, "mask", None)
    try:
        array = np.asarray(getattr(values, "unmasked", values))
    except (TypeError, ValueError) as error:
        raise ModelError(f"{name} is no array ({error}): all rows need the same length") from error
    if mask is None or not np.any(mask):
        return array
    if not gaps:
        row = int(np.argwhere(np.broadcast_to(mask, array.shape))[0][0])
        raise ModelError(
            f"{name} is masked in row {row}: a masked value is missing; remove these galaxies"
        )
    return np.where(mask, np.nan, array)


def plain_numbers(
    name: str, values, shape: Sequence, columns: Sequence[str] = (), *, gaps: bool = False
) -> np.ndarray | None:
    """Return values as float64; in `shape`, None allows any length; values that are None stay so.

    Raises:
        ModelError: The values are not numbers, or have another shape; or see `plain_array`.
    """
    if values is None:
        return None
    array = plain_array(name, values, columns, gaps=gaps)
    if array.dtype.kind not in "iuf":
        raise ModelError(f"{name} contains {array.dtype}: numbers are needed")
    if array.ndim != len(shape) or any(
        want not in (None, have) for have, want in zip(array.shape, shape, strict=True)
    ):
        wanted = ", ".join("n" if want is None else str(want) for want in shape)
        of_bands = columns and columns[0].startswith("mag")
        order = f" in {', '.join(c.split('_', 1)[1] for c in columns)}" if of_bands else ""
        raise ModelError(f"{name} has shape {array.shape}: ({wanted}){order} needed")
    return array.astype(np.float64)


def plain_properties(
    theta, n: int, names: Sequence[str] = PROPERTY_NAMES, *, gaps: bool = False
) -> np.ndarray:
    """Return properties of n galaxies as float64, `(n, 5)` or `(n, S, 5)`.

    Arguments:
        theta: Properties.
        n: Number of galaxies.
        names: Names of the properties, in the required order.
        gaps: Whether labels may be missing (NaN), though not all labels of one galaxy.

    Raises:
        ModelError: A property is not finite; or see `plain_numbers`.
    """
    shape = (n, *[None] * (np.ndim(theta) == 3), len(names))
    theta = plain_numbers("theta", theta, shape, names, gaps=gaps)
    finite = np.isfinite(theta)
    if gaps:
        finite |= np.isnan(theta) & finite.any(axis=-1, keepdims=True)
    finite = finite.all(axis=tuple(range(1, theta.ndim)))
    require_rows(finite, "theta is not finite")
    return theta


def plain_images(images, n: int, declaration: Declaration) -> np.ndarray:
    """Return cutouts as uint8 `(n, 128, 128, 3)`, or linear cutouts as declared.

    Raises:
        ModelError: The images have another type, size, order or number, are masked or not finite.
    """
    images, (shape, dtype) = plain_array("images", images), image_kind(declaration)
    if images.dtype != dtype or images.shape != (n, *shape):
        what = declaration.cutouts or (
            "from 0 to 255, one cutout per galaxy of 128×128 pixels of 0.396 arcsec, channels "
            "i, r, g last"
        )
        raise ModelError(
            f"images are {images.dtype} {images.shape} for {n} galaxies: {np.dtype(dtype)} "
            f"{(n, *shape)} is needed, {what}; Survey.from_table(cutouts=…, pixel_scale=…) makes "
            "them of others"
        )
    if declaration.cutouts:
        finite = np.array([np.isfinite(image).all() for image in images], bool)
        require_rows(finite, "the image is not finite")
    return images


def plain_embeddings(
    embeddings: Mapping | None, used: Sequence[Embedding], n: int
) -> list[np.ndarray]:
    """Return the embeddings that a model uses, each float64 `(n, length)`, in its order.

    Raises:
        ModelError: An embedding is missing, of another shape, not finite or not used.
    """
    given, names = {} if embeddings is None else embeddings, [each.name for each in used]
    if not isinstance(given, Mapping):
        raise ModelError(f"embeddings is a {type(given).__name__}: give a dict of arrays by name")
    if missing := [each for each in used if each.name not in given]:
        raise ModelError(
            f"this model was trained with the embedding {missing[0].name} of "
            f"{missing[0].model}: give embeddings={{{missing[0].name!r}: …}}"
        )
    if unused := [name for name in given if name not in names]:
        raise ModelError(
            f"this model was trained without the embedding {', '.join(unused)}: leave it out"
        )
    found = []
    for each in used:
        name = f"the embedding {each.name}"
        found.append(plain_numbers(name, given[each.name], (n, each.length)))
        require_rows(np.isfinite(found[-1]).all(axis=1), f"{name} is not finite")
    return found


def whole_number(name: str, value, least: int = 1) -> int:
    """Return a whole number of at least `least`.

    Raises:
        ModelError: The value is smaller, or not a whole number.
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise ModelError(f"{name} is {value!r}: give a whole number, at least {least}")
    return int(value)


def redshift_quantiles(redshift, density, n: int) -> np.ndarray:
    """Return equally likely redshifts of each galaxy's p(z), for `Posterior.sample`.

    Arguments:
        redshift: Grid of redshifts in ascending order, `(m,)`.
        density: p(z) on the grid, not negative, in any normalisation, `(n_galaxies, m)`, and linear
            between the points of the grid.
        n: Number of redshifts per galaxy.

    Returns:
        The quantiles (j + 1/2) / n, ascending, `(n_galaxies, n)`.

    Raises:
        ModelError: The grid is not ascending or not finite, or a density is negative, not finite
            or zero everywhere.

    >>> redshift_quantiles([0.1, 0.2], [[1.0, 1.0]], 2).round(3).tolist()
    [[0.125, 0.175]]
    """
    n = whole_number("n", n)
    redshift = plain_numbers("redshift", redshift, (None,))
    density = plain_numbers("density", density, (None, len(redshift)))
    step = np.diff(redshift)
    if len(redshift) < 2 or not (np.isfinite(redshift).all() and (step > 0).all()):
        raise ModelError(
            "redshift is no grid: give at least two finite redshifts in ascending order"
        )
    good = np.isfinite(density).all(1) & (density >= 0).all(1) & (density > 0).any(1)
    wrong = "a density is negative, not finite or zero everywhere"
    require_rows(good, wrong, "correct p(z), or remove these galaxies")
    found = np.empty((len(density), n))
    for row, p in enumerate(density):
        p = p / p.max()  # densities are squared below, and tiny ones would underflow
        total = cumulative_trapezoid(p, redshift, initial=0)
        wanted = (np.arange(n) + 0.5) / n * total[-1]
        k = np.searchsorted(total[1:], wanted)
        # Within a step the integral of the linear density is quadratic.
        left, slope = wanted - total[k], (p[k + 1] - p[k]) / step[k]
        root = p[k] ** 2 + 2 * slope * left
        inner = redshift[k] + 2 * left / (p[k] + np.sqrt(root.clip(0)))
        found[row] = inner.clip(redshift[k], redshift[k + 1])
    return found


def galaxy_seeds(object_id, seed: int) -> np.ndarray:
    """Return the seed of each galaxy's noise, which depends only on its arguments, uint64 `(n,)`.

    Raises:
        ModelError: An identifier is neither text nor a whole number, or the seed is not a whole
            number.
    """
    seed = whole_number("seed", seed, 0)

    def of(name):
        if isinstance(name, bytes):
            name = name.decode()
        if isinstance(name, bool) or not isinstance(name, str | int | np.integer):
            raise ModelError(f"object_id contains {name!r}: text or whole numbers are needed")
        return hashlib.sha256(f"{seed}/{name}".encode()).digest()[:8]

    return np.array([int.from_bytes(of(name), "big") for name in object_id], dtype=np.uint64)
