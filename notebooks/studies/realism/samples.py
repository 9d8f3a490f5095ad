"""Two samples of galaxies: matched, and told apart."""

from collections.abc import Sequence

import numpy as np
from scipy import optimize


def match(
    real: np.ndarray, simulated: np.ndarray, bins: Sequence[int], seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of two samples that have the same distribution, cell by cell.

    Each cell of a grid over the quantiles of the real sample keeps as many rows of either sample
    as the smaller one has there.

    Arguments:
        real: Quantities to be matched, e.g. magnitude and redshift, `(n, d)`.
        simulated: The same quantities of the other sample, `(m, d)`.
        bins: Number of cells along each of the `d` axes.
        seed: Seed of the choice where a cell holds too many.

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
        members = [np.flatnonzero(cells == cell) for cells in (cell_real, cell_simulated)]
        n = min(map(len, members))
        for rows, found in zip(kept, members, strict=True):
            rows.append(rng.permutation(found)[:n])
    return np.concatenate(kept[0]), np.concatenate(kept[1])


def match_pairs(real: np.ndarray, simulated: np.ndarray) -> np.ndarray:
    """Return a different simulated galaxy for each real one, all pairs as alike as possible.

    Arguments:
        real: Quantities to be matched, `(n, d)`.
        simulated: The same quantities of at least as many other galaxies, `(m, d)`.

    Returns:
        Row numbers of the simulated galaxies, `(n,)`.
    """
    distance = (real[:, None] - simulated[None]) / real.std(axis=0)
    return optimize.linear_sum_assignment((distance**2).sum(axis=-1))[1]


def two_sample_auc(real: np.ndarray, simulated: np.ndarray) -> dict:
    """Return how well a classifier tells two samples apart: 0.5 is chance, 1 is perfect.

    The classifier is gradient boosting on the columns as they are, tested on held-out galaxies.

    Arguments:
        real: Features, `(n, d)`.
        simulated: Features, `(m, d)`.

    Returns:
        `auc`, the area under the curve of all held-out scores, `standard_error` over the five
        folds, and `n_real`, `n_simulated`.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    features = np.concatenate([real, simulated])
    label = np.repeat([0, 1], [len(real), len(simulated)])
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    model = HistGradientBoostingClassifier(
        max_iter=150, learning_rate=0.06, max_leaf_nodes=15, random_state=0
    )
    scores = cross_val_predict(model, features, label, cv=folds, method="predict_proba")[:, 1]
    aucs = [roc_auc_score(label[test], scores[test]) for _, test in folds.split(features, label)]
    return {
        "auc": float(roc_auc_score(label, scores)),
        "standard_error": float(np.std(aucs, ddof=1) / np.sqrt(len(aucs))),
        "n_real": len(real),
        "n_simulated": len(simulated),
    }
