"""Is a simulated survey like a real one? Comparisons of catalogues and of cutouts.

What this room measures needs a real sample, which is never part of the repository: the book shows
results that were stored in `data/published/`.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import ndimage

__all__ = [
    "colours",
    "cutout_statistics",
    "fit_zero_points",
    "match",
    "percentile_offsets",
    "resample_cutout",
    "two_sample_auc",
]


def colours(magnitudes: np.ndarray) -> np.ndarray:
    """u−g, g−r, r−i, i−z of ugriz magnitudes `(n, 5)`, `(n, 4)`."""
    return -np.diff(np.asarray(magnitudes), axis=1)


def match(
    real: np.ndarray, simulated: np.ndarray, bins: Sequence[int], seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of two samples that have the same distribution, cell by cell.

    Each cell of a grid over the quantiles of the real sample keeps as many of either sample as
    the smaller one has there.

    Arguments:
        real: what is to be matched, e.g. magnitude and redshift, `(n, d)`.
        simulated: the same of the other sample, `(m, d)`.
        bins: cells along each of the `d` axes.
        seed: who is kept where there are too many.

    Returns:
        Row numbers of the real and of the simulated sample, equally many.
    """
    rng = np.random.default_rng(seed)
    cell_real = np.zeros(len(real), dtype=int)
    cell_simulated = np.zeros(len(simulated), dtype=int)
    inside = np.ones(len(simulated), dtype=bool)
    for axis, n in enumerate(bins):
        edges = np.quantile(real[:, axis], np.linspace(0, 1, n + 1))
        inside &= (simulated[:, axis] >= edges[0]) & (simulated[:, axis] <= edges[-1])
        cell_real = cell_real * n + np.digitize(real[:, axis], edges[1:-1])
        cell_simulated = cell_simulated * n + np.digitize(simulated[:, axis], edges[1:-1])
    cell_simulated[~inside] = -1
    kept = ([], [])
    for cell in np.unique(cell_real):
        members = [np.flatnonzero(of == cell) for of in (cell_real, cell_simulated)]
        n = min(map(len, members))
        for rows, found in zip(kept, members, strict=True):
            rows.append(rng.permutation(found)[:n])
    return np.concatenate(kept[0]), np.concatenate(kept[1])


def two_sample_auc(
    real: np.ndarray, simulated: np.ndarray, *, folds: int = 5, seed: int = 0
) -> dict:
    """How well a classifier tells two samples apart: 0.5 is not at all, 1 is perfectly.

    Gradient boosting on the columns as they are, judged on galaxies that it has not seen.

    Arguments:
        real: features, `(n, d)`.
        simulated: features, `(m, d)`.
        folds: of the cross-validation.
        seed: of the folds.

    Returns:
        `auc`, the area under the curve of all held-out scores, `standard_error` over the folds,
        and `n_real`, `n_simulated`.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold

    features = np.concatenate([real, simulated])
    label = np.repeat([0, 1], [len(real), len(simulated)])
    scores, aucs = np.empty(len(label)), []
    for train, test in StratifiedKFold(folds, shuffle=True, random_state=seed).split(
        features, label
    ):
        model = HistGradientBoostingClassifier(
            max_iter=150, learning_rate=0.06, max_leaf_nodes=15, random_state=seed
        ).fit(features[train], label[train])
        scores[test] = model.predict_proba(features[test])[:, 1]
        aucs.append(roc_auc_score(label[test], scores[test]))
    return {
        "auc": float(roc_auc_score(label, scores)),
        "standard_error": float(np.std(aucs, ddof=1) / np.sqrt(folds)),
        "n_real": len(real),
        "n_simulated": len(simulated),
    }


def fit_zero_points(real: np.ndarray, simulated: np.ndarray) -> np.ndarray:
    """Constants that, added to the simulated columns, bring their medians to the real ones."""
    return np.median(real, axis=0) - np.median(simulated, axis=0)


def percentile_offsets(values, published: dict[str, float]) -> pd.DataFrame:
    """Percentiles of a simulated column beside published ones.

    Arguments:
        values: the simulated column, `(n,)`; NaN is left out.
        published: value by percentile, e.g. `{"10": 9.75, …}`, with at least 10 and 90.

    Returns:
        A row a percentile: `real`, `simulated`, and `offset`, their difference in real standard
        deviations, which are (P90 − P10) / 2.563.
    """
    values = np.asarray(values, dtype=float)
    values = values[np.isfinite(values)]
    table = pd.DataFrame({"real": published}).rename_axis("percentile")
    table["simulated"] = [np.percentile(values, float(p)) for p in table.index]
    deviation = (published["90"] - published["10"]) / 2.563
    table["offset"] = (table["simulated"] - table["real"]) / deviation
    return table


def resample_cutout(image: np.ndarray, zoom: float) -> np.ndarray:
    """The middle of a cutout, `zoom` times enlarged to its own size, as uint8.

    Arguments:
        image: uint8 `(128, 128, 3)`.
        zoom: enlargement, at least 1; bilinear.
    """
    n = len(image)
    at = (np.arange(n) - (n - 1) / 2) / zoom + (n - 1) / 2
    rows, columns = np.meshgrid(at, at, indexing="ij")
    channels = [
        ndimage.map_coordinates(image[..., c].astype(float), [rows, columns], order=1)
        for c in range(image.shape[-1])
    ]
    return np.stack(channels, axis=-1).round().clip(0, 255).astype(np.uint8)


def cutout_statistics(images: np.ndarray) -> pd.DataFrame:
    """What simple measurements say of cutouts, a row a cutout.

    Arguments:
        images: uint8 `(n, 128, 128, 3)`, channels i, r, g.

    Returns:
        `sky` and `noise`, the level and the scatter of the corners in the mean of the channels
        (median, and half the distance of the 16th and 84th percentile); `sky_red` and
        `sky_blue` of the first and last channel; `texture`, the scatter of the difference of
        neighbouring pixels there; `centre`, the mean of the central 8×8 pixels; `red_blue`,
        the difference of the first and last channel there; `radius`, that of half the light
        above the sky, pixels; `axis_ratio` of its second moments; `bright`, the share of
        pixels above 60.
    """
    n, size = len(images), images.shape[1]
    edge = size // 6
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    distance = np.hypot(x, y)
    rings = np.argsort(distance, axis=None)
    rows = []
    for image in images:
        grey = image.astype(float).mean(axis=-1)
        corners = np.s_[[0, 0, -edge, -edge], [0, -edge, 0, -edge]]
        patches = [
            image[r : r + edge if r >= 0 else None, c : c + edge if c >= 0 else None]
            for r, c in zip(*corners, strict=True)
        ]
        # The emptiest corner: neighbours are no sky.
        patch = min(patches, key=lambda p: p.mean()).astype(float)
        flat = patch.mean(axis=-1)
        low, sky, high = np.percentile(flat, [16, 50, 84])
        light = np.maximum(grey - sky, 0)
        light[light < 3 * max((high - low) / 2, 1)] = 0
        label, _ = ndimage.label(light > 0)
        light[label != label[size // 2, size // 2]] = 0
        total = max(light.sum(), 1e-9)
        curve = light.ravel()[rings].cumsum() / total
        moments = [(light * p).sum() / total for p in (x * x, y * y, x * y)]
        trace, split = moments[0] + moments[1], np.hypot(moments[0] - moments[1], 2 * moments[2])
        core = image[size // 2 - 4 : size // 2 + 4, size // 2 - 4 : size // 2 + 4].astype(float)
        rows.append(
            {
                "sky": sky,
                "noise": (high - low) / 2,
                "sky_red": np.median(patch[..., 0]),
                "sky_blue": np.median(patch[..., 2]),
                "texture": np.diff(flat, axis=1).std(),
                "centre": core.mean(),
                "red_blue": core[..., 0].mean() - core[..., 2].mean(),
                "radius": distance.ravel()[rings][np.searchsorted(curve, 0.5).clip(0, size**2 - 1)],
                "axis_ratio": np.sqrt(max(trace - split, 0) / max(trace + split, 1e-9)),
                "bright": (grey > 60).mean(),
            }
        )
    return pd.DataFrame(rows, index=range(n))
