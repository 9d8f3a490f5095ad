"""What a model is given: taken rightly, or refused in a sentence that says what to do.

Arrays of NumPy, PyTorch and pandas are taken, columns of tables by their names. A masked value, a
unit that is not a magnitude, a picture of other pixels are refused: read as bare numbers they would
give a posterior of something else.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral

import numpy as np
import torch
from scipy.integrate import cumulative_trapezoid

from galcfm.properties import BANDS, PROPERTY_NAMES
from galcfm.survey.images import IMAGE_SHAPE

UNITS = ("", "mag", "mag(AB)", "ABmag", "dex")


class ModelError(ValueError):
    """A model that cannot be loaded or cannot take this input, with the remedy."""


def require_rows(good: np.ndarray, what: str, remedy: str = "remove these galaxies") -> None:
    """Refuse galaxies of which something is wrong.

    Arguments:
        good: Whether a galaxy can be used, shape `(n,)`.
        what: What is wrong with the others, for the message.
        remedy: What to do.

    Raises:
        ModelError: A galaxy cannot be used; the message gives the first row and how many there are.
    """
    if not np.all(good):
        raise ModelError(
            f"row {int(np.argmin(good))}: {what} ({np.sum(~good)} such rows): {remedy}"
        )


@dataclass(frozen=True)
class Observation:
    """What was observed of some galaxies, as arrays of NumPy, PyTorch or pandas.

    Arguments:
        magnitudes: AB magnitudes in u, g, r, i, z, Galactic extinction removed, shape `(n, 5)`.
        images: Cutouts, uint8, channels i, r, g, shape `(n, 128, 128, 3)`.
        redshift: Redshifts, shape `(n,)`, or k equally likely ones per galaxy, shape `(n, k)`.
        magnitude_errors: Standard deviations of the magnitudes, shape `(n, 5)`.
    """

    magnitudes: object
    images: object = None
    redshift: object = None
    magnitude_errors: object = None

    def used(self, name: str, is_used: bool):
        """Return an input that the model uses, or None.

        Raises:
            ModelError: The input is missing, or is not used.
        """
        values, kind = getattr(self, name), name.replace("_", " ").removesuffix("s")
        if is_used and values is None:
            raise ModelError(f"this model was trained with {kind}s: give {name}")
        if not is_used and values is not None:
            raise ModelError(f"this model was trained without {kind}s: leave {name} out")
        return values


def default_device(device=None) -> torch.device:
    """Return a device, by default the GPU where PyTorch finds a CUDA one, otherwise the CPU.

    Raises:
        ModelError: There is no such device, or PyTorch cannot use it here.
    """
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError, TypeError) as error:
        raise ModelError(
            f"device is {device!r}, which PyTorch cannot use here: give 'cpu', or 'cuda' where "
            "there is a GPU"
        ) from error


def plain_array(
    name: str, values, columns: Sequence[str] = (), *, gaps: bool = False
) -> np.ndarray:
    """Return the values of an array of any library.

    Arguments:
        name: Name of the argument, for messages.
        values: Array, tensor, table or nested list.
        columns: Columns of a table, in the order that is needed.
        gaps: Whether values may be masked, and become NaN.

    Raises:
        ModelError: A value is masked, a table lacks a column, or there is a unit of another kind.
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
    """Return values as float64 of a shape in which `None` stands for any length; None stays None.

    Raises:
        ModelError: See `plain_array`; or the values are not numbers, or of another shape.
    """
    if values is None:
        return None
    array = plain_array(name, values, columns, gaps=gaps)
    if array.dtype.kind not in "iuf":
        raise ModelError(f"{name} holds {array.dtype}: numbers are needed")
    if array.ndim != len(shape) or any(
        want not in (None, have) for have, want in zip(array.shape, shape, strict=True)
    ):
        wanted = ", ".join("n" if want is None else str(want) for want in shape)
        order = f" in {', '.join(BANDS)}" if columns and columns[0].startswith("mag") else ""
        raise ModelError(f"{name} has shape {array.shape}: ({wanted}){order} needed")
    return array.astype(np.float64)


def plain_properties(theta, n: int) -> np.ndarray:
    """Return properties of n galaxies as float64, `(n, 5)` or `(n, S, 5)`.

    Raises:
        ModelError: See `plain_numbers`; or a property is not finite.
    """
    shape = (n, *[None] * (np.ndim(theta) == 3), len(PROPERTY_NAMES))
    theta = plain_numbers("theta", theta, shape, PROPERTY_NAMES)
    finite = np.isfinite(theta).all(axis=tuple(range(1, theta.ndim)))
    require_rows(finite, "theta is not finite")
    return theta


def plain_images(images, n: int) -> np.ndarray:
    """Return cutouts as uint8 `(n, 128, 128, 3)`.

    Raises:
        ModelError: They are of another kind, size, order or number, or masked.
    """
    images, needed = plain_array("images", images), (n, *IMAGE_SHAPE)
    if images.dtype != np.uint8 or images.shape != needed:
        raise ModelError(
            f"images are {images.dtype} {images.shape} for {n} galaxies: uint8 {needed} is needed, "
            "from 0 to 255, one cutout per galaxy of 128×128 pixels of 0.396 arcsec, channels "
            "i, r, g last; Survey.from_table(cutouts=…, pixel_scale=…) makes them of others"
        )
    return images


def whole_number(name: str, value, least: int = 1) -> int:
    """Return a whole number that is at least `least`.

    Raises:
        ModelError: It is less, or no whole number.
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise ModelError(f"{name} is {value!r}: give a whole number, at least {least}")
    return int(value)


def redshift_quantiles(redshift, density, n: int) -> np.ndarray:
    """Return equally likely redshifts of each galaxy's p(z), as `Posterior.sample` takes them.

    Arguments:
        redshift: Grid of redshifts in ascending order, `(m,)`.
        density: p(z) on the grid, not negative, in any normalisation, `(n_galaxies, m)`; between
            the points of the grid it is taken as linear.
        n: Number of redshifts per galaxy.

    Returns:
        The quantiles (j + 1/2) / n, ascending, `(n_galaxies, n)`.

    Raises:
        ModelError: The grid does not ascend or is not finite, or a density is negative, not finite
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
        p = p / p.max()  # densities are squared below: tiny ones would vanish
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
    """Return the seed of each galaxy's noise, from `seed` and `object_id` alone, uint64 `(n,)`.

    Raises:
        ModelError: an identifier is neither text nor whole number, or the seed no whole number.
    """
    seed = whole_number("seed", seed, 0)

    def of(name):
        if isinstance(name, bytes):
            name = name.decode()
        if isinstance(name, bool) or not isinstance(name, str | int | np.integer):
            raise ModelError(f"object_id holds {name!r}: text or whole numbers are needed")
        return hashlib.sha256(f"{seed}/{name}".encode()).digest()[:8]

    return np.array([int.from_bytes(of(name), "big") for name in object_id], dtype=np.uint64)
