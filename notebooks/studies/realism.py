"""Is a simulated survey like a real one? Comparisons of catalogues and of cutouts.

`python -m studies.realism` compares with the real galaxies of the kcorrect package;
`--cutouts FOLDER` also with SkyServer's 128×128 JPEG cutouts in a folder, which are never part of
the repository. The book shows what was stored in `data/published/`.
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage

from galcfm.properties import BANDS, MAGNITUDE_ERRORS, MAGNITUDES
from galcfm.simulate import Instrument, render, simulate_catalogue
from studies.morphology import GROUPS, enlarge, light_and_radius, match_pairs, measure
from studies.real_galaxies import real_galaxies
from studies.stored import key_of, read_command, store, stored
from galcfm.survey.images import decode_jpeg

__all__ = [
    "MAIN_GALAXY_SAMPLE",
    "bright_galaxies",
    "colours",
    "compare_catalogues",
    "compare_cutouts",
    "compare_percentiles",
    "cutout_statistics",
    "fit_zero_points",
    "match",
    "network_auc",
    "percentile_offsets",
    "try_explanations",
    "two_sample_auc",
]


# Percentiles of 657,057 galaxies of the Main Galaxy Sample in the MPA-JHU catalogue of data release
# 8, rounded, at 10, 25, 50, 75 and 90 %, as the galaxy-manifold project lists them on GitHub; the
# abundances are those of its 147,799 star-forming galaxies.
PERCENTILES = ("10", "25", "50", "75", "90")
MAIN_GALAXY_SAMPLE = {
    column: dict(zip(PERCENTILES, values, strict=True))
    for column, values in {
        "log_stellar_mass": (9.752, 10.281, 10.702, 11.026, 11.272),
        "log_sfr": (-1.442, -1.130, -0.511, 0.192, 0.580),
        "oxygen_abundance": (8.589, 8.777, 8.950, 9.052, 9.110),
        "dn4000": (1.236, 1.354, 1.634, 1.863, 1.952),
        "a_v": (0.057, 0.229, 0.484, 0.885, 1.329),
        "redshift": (0.042, 0.068, 0.100, 0.139, 0.178),
    }.items()
}
COLOURS = ("u−g", "g−r", "r−i", "i−z")
BRIGHT = (15.0, 16.3)  # r: there the 2MASS match of the real galaxies is complete
REDSHIFTS = (0.02, 0.2)


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
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    features = np.concatenate([real, simulated])
    label = np.repeat([0, 1], [len(real), len(simulated)])
    split = StratifiedKFold(folds, shuffle=True, random_state=seed)
    model = HistGradientBoostingClassifier(
        max_iter=150, learning_rate=0.06, max_leaf_nodes=15, random_state=seed
    )
    scores = cross_val_predict(model, features, label, cv=split, method="predict_proba")[:, 1]
    aucs = [roc_auc_score(label[test], scores[test]) for _, test in split.split(features, label)]
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


def cutout_statistics(images: np.ndarray) -> pd.DataFrame:
    """What simple measurements say of cutouts, a row a cutout.

    Arguments:
        images: uint8 `(n, h, h, 3)`, channels i, r, g.

    Returns:
        `sky` and `noise`, the median of the border in the mean of the channels and its scatter
        (half the distance of the 16th and 84th percentile); `sky_red`, `sky_blue`, the median of
        the first and last channel there; `texture`, the scatter between neighbouring pixels
        there; `centre`, the mean of the central 8×8 pixels; `red_blue`, the first less the last
        channel there; `red`, `blue`, the first and last channel over the middle one in the whole
        galaxy; `radius` of half the light, pixels; `axis_ratio` of the second moments; `bright`,
        the share of pixels above 60.
    """
    size = images.shape[1]
    edge = size // 8
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    distance = np.hypot(x, y)
    border = np.maximum(np.abs(x), np.abs(y)) > size / 2 - edge
    rings = np.argsort(distance, axis=None)
    core = np.s_[size // 2 - 4 : size // 2 + 4, size // 2 - 4 : size // 2 + 4]
    rows = []
    for image in images:
        pixels = image.astype(float)
        grey = pixels.mean(axis=-1)
        low, sky, high = np.percentile(grey[border], [16, 50, 84])
        noise = (high - low) / 2
        steps = np.diff(grey, axis=1)[border[:, 1:] & border[:, :-1]]
        light = np.where(grey > sky + 3 * max(noise, 1), grey - sky, 0)
        label, _ = ndimage.label(light > 0)
        light[label != label[size // 2, size // 2]] = 0
        total = max(light.sum(), 1e-9)
        half = np.searchsorted(light.ravel()[rings].cumsum(), 0.5 * total)
        xx, yy, xy = ((light * p).sum() / total for p in (x * x, y * y, x * y))
        split = np.hypot(xx - yy, 2 * xy)
        red, middle, blue = (pixels * (light > 0)[..., None]).sum(axis=(0, 1))
        rows.append(
            {
                "sky": sky,
                "noise": noise,
                "sky_red": np.median(pixels[border, 0]),
                "sky_blue": np.median(pixels[border, 2]),
                "texture": np.subtract(*np.percentile(steps, [84, 16])) / 2,
                "centre": pixels[core].mean(),
                "red_blue": pixels[core][..., 0].mean() - pixels[core][..., 2].mean(),
                "red": red / max(middle, 1),
                "blue": blue / max(middle, 1),
                "radius": distance.ravel()[rings][min(half, size**2 - 1)],
                "axis_ratio": np.sqrt(max(xx + yy - split, 0) / max(xx + yy + split, 1e-9)),
                "bright": (grey > 60).mean(),
            }
        )
    return pd.DataFrame(rows)


def bright_galaxies() -> pd.DataFrame:
    """Bright ones of `real_galaxies`: `mag_*`, `magerr_*` and `redshift`.

    Model magnitudes on the AB system, the Galaxy's extinction removed, 15 < r < 16.3 and
    0.02 < z < 0.2.
    """
    table = real_galaxies()
    flux, errors, extinction = (
        table[[f"{what}_{band}" for band in BANDS]].to_numpy()
        for what in ("flux", "error", "extinction")
    )
    good = (flux > 0).all(axis=1) & np.isfinite(errors).all(axis=1)
    flux, errors, extinction = flux[good], errors[good], extinction[good]
    bright = pd.DataFrame(22.5 - 2.5 * np.log10(flux) - extinction, columns=list(MAGNITUDES))
    bright[list(MAGNITUDE_ERRORS)] = 2.5 / np.log(10) * errors / flux
    bright["redshift"] = table["redshift"][good].to_numpy()
    kept = bright["mag_r"].between(*BRIGHT) & bright["redshift"].between(*REDSHIFTS)
    return bright[kept].reset_index(drop=True)


def compare_catalogues(real: pd.DataFrame, simulated: pd.DataFrame, seed: int = 11) -> dict:
    """Colours, errors and redshifts of two samples, matched in r and redshift.

    The real galaxies are split at random: the simulation's zero points were fitted to the first
    half, and colours are judged on the second. Zero points fitted anew to the first half are
    tried on the second too.

    Arguments:
        real: `mag_*`, `magerr_*` and `redshift` of real galaxies.
        simulated: the same of simulated ones.
        seed: of the split and the matching.
    """
    first = np.random.default_rng(seed).uniform(size=len(real)) < 0.5
    halves = {}
    for name, rows in (("fitted", first), ("judged", ~first)):
        part = real[rows]
        a, b = match(
            part[["mag_r", "redshift"]].to_numpy(),
            simulated[["mag_r", "redshift"]].to_numpy(),
            (4, 8),
            seed,
        )
        halves[name] = part.iloc[a], simulated.iloc[b]
    colour = {
        name: [colours(t[list(MAGNITUDES)].to_numpy()) for t in pair]
        for name, pair in halves.items()
    }
    zero_points = fit_zero_points(*colour["fitted"])
    a, b = halves["judged"]
    result = {
        "colour_auc": {name: two_sample_auc(*pair) for name, pair in colour.items()},
        "zero_points": dict(zip(COLOURS, zero_points.tolist(), strict=True)),
        "colours": {
            kind: {
                name: np.percentile(values[:, k], [5, 16, 50, 84, 95]).round(4).tolist()
                for k, name in enumerate(COLOURS)
            }
            for kind, values in zip(("real", "simulated"), colour["judged"], strict=True)
        },
        "magnitude_errors": {
            band: {"real": float(a[c].median()), "simulated": float(b[c].median())}
            for band, c in zip(BANDS, MAGNITUDE_ERRORS, strict=True)
        },
        "redshift": {
            kind: np.percentile(t["redshift"], [10, 25, 50, 75, 90]).round(4).tolist()
            for kind, t in (("real", real), ("simulated", simulated))
        },
    }
    result["colour_auc"]["judged, zero points fitted anew"] = two_sample_auc(
        colour["judged"][0], colour["judged"][1] + zero_points
    )
    for errors in result["magnitude_errors"].values():
        errors["ratio"] = errors["simulated"] / errors["real"]
    return result


def compare_percentiles(parent: pd.DataFrame) -> dict:
    """Percentiles of a simulated parent catalogue beside those of `MAIN_GALAXY_SAMPLE`."""
    return {
        column: percentile_offsets(parent[column], published).round(4).to_dict("index")
        for column, published in MAIN_GALAXY_SAMPLE.items()
    }


def try_explanations(
    parent: pd.DataFrame, whole: pd.DataFrame, unseen: pd.DataFrame, seed: int = 0
) -> dict:
    """What possible reasons for an offset of the percentiles close of it, one at a time.

    Arguments:
        parent: simulated parent catalogue.
        whole: the same, its properties those of whole galaxies.
        unseen: the same, with O/H of galaxies whose lines are not seen.
        seed: of errors that are drawn.

    Returns:
        By column and reason, as `compare_percentiles` by column.
    """
    deviates = np.random.default_rng(seed).normal(size=len(parent))
    a_v = parent["a_v_true"].to_numpy()
    columns = {
        "a_v": {
            "as it is": parent["a_v"],
            "errors of 0.4 mag": a_v + 0.4 * deviates,
            "stars behind the dust of the gas": 2 * a_v + 0.2 * deviates,
            "both": 2 * a_v + 0.4 * deviates,
            "of the whole galaxy": whole["a_v"],
            "of the emission lines": parent["a_v_balmer"],
        },
        "oxygen_abundance": {
            "as it is": parent["oxygen_abundance"],
            "of the whole galaxy": whole["oxygen_abundance"],
            "whatever lines are seen": unseen["oxygen_abundance"],
        },
        "dn4000": {"as it is": parent["dn4000"], "of the whole galaxy": whole["dn4000"]},
    }
    return {
        column: {
            reason: percentile_offsets(values, MAIN_GALAXY_SAMPLE[column])["offset"]
            .round(3)
            .to_dict()
            for reason, values in reasons.items()
        }
        for column, reasons in columns.items()
    }


def compare_cutouts(
    real: np.ndarray, simulated: np.ndarray, *, seed: int = 0, epochs: int = 30
) -> dict:
    """How well real and simulated cutouts are told apart, by measurements and by a small network.

    The real cutouts are split by a fixed permutation: what in the simulation was chosen by
    pictures was chosen on the first half, and the second judges. In each half a real cutout has
    one simulated partner of about its light and size.

    Arguments:
        real: uint8 `(n, 128, 128, 3)`.
        simulated: uint8 `(m, 128, 128, 3)`, at the scale of the survey, at least as many.
        seed: of the split.
        epochs: for which the network sees the first half.

    Returns:
        `auc` by half and group of statistics; `statistics` of the half that judges, 10, 50 and
        90 % of either sample and the `auc` of each alone; `network_auc`, of a network trained on
        the first half and judged on the second.
    """
    rng = np.random.default_rng(seed)
    halves = {}
    for name, rows, others in zip(
        ("chosen", "judged"),
        np.array_split(rng.permutation(len(real)), 2),
        np.array_split(rng.permutation(len(simulated)), 2),
        strict=True,
    ):
        like = light_and_radius(real[rows])
        enlarged = enlarge(simulated[others], like[:, 1], seed)
        partners = match_pairs(like, light_and_radius(enlarged))
        halves[name] = real[rows], enlarged[partners]
    measured = {name: [measure(images) for images in pair] for name, pair in halves.items()}
    columns = {"all": [c for group in GROUPS.values() for c in group]} | GROUPS
    a, b = measured["judged"]
    return {
        "n_real": len(a),
        "n_simulated": len(b),
        "statistics": {
            column: {
                "real": a[column].quantile([0.1, 0.5, 0.9]).round(3).tolist(),
                "simulated": b[column].quantile([0.1, 0.5, 0.9]).round(3).tolist(),
                "auc": round(two_sample_auc(a[[column]], b[[column]])["auc"], 3),
            }
            for column in columns["all"]
        },
        "auc": {
            name: {
                group: two_sample_auc(*(table[list(of)].to_numpy() for table in pair))
                for group, of in columns.items()
            }
            for name, pair in measured.items()
        },
        "network_auc": network_auc(halves["chosen"], halves["judged"], epochs=epochs),
    }


def network_auc(
    training: Sequence[np.ndarray], judged: Sequence[np.ndarray], *, epochs: int, seed: int = 0
) -> float:
    """Area under the curve of a small convolutional network that learns which cutouts are real.

    Arguments:
        training: real and simulated cutouts, uint8 `(n, h, h, 3)` each.
        judged: the same of others.
        epochs: how often it sees the training set, turned and mirrored anew each time.
        seed: of weights and batches.
    """
    import torch
    from sklearn.metrics import roc_auc_score
    from torch import nn

    def tensors(pair):
        images = torch.tensor(np.concatenate(pair)).permute(0, 3, 1, 2).float() / 64
        return images, torch.tensor(np.repeat([0.0, 1.0], [len(of) for of in pair]))

    torch.manual_seed(seed)
    widths = (3, 16, 32, 64, 64)
    blocks = [(nn.Conv2d(a, b, 3, 2, 1), nn.BatchNorm2d(b), nn.ReLU()) for a, b in pairwise(widths)]
    network = nn.Sequential(
        *(layer for block in blocks for layer in block),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(widths[-1], 1),
    )
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=1e-2)
    images, label = tensors(training)
    for _ in range(epochs):
        for rows in torch.randperm(len(images)).split(32):
            batch = torch.rot90(images[rows], int(torch.randint(4, ())), (2, 3))
            batch = batch.flip(3) if torch.rand(()) < 0.5 else batch
            loss = nn.functional.binary_cross_entropy_with_logits(network(batch)[:, 0], label[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    network.eval()
    images, label = tensors(judged)
    with torch.no_grad():
        return float(roc_auc_score(label, network(images)[:, 0]))


def main(arguments: list[str] | None = None) -> None:
    options = read_command(
        "realism", __doc__, arguments, cutouts={"type": Path, "help": "folder of JPEG cutouts"}
    )
    n_bright, n_parent = (600, 400) if options.smoke else (12000, 20000)
    key = key_of([n_bright, n_parent], "studies.realism")
    path = options.folder / "realism.json"
    if stored(path, key) is None:
        bright = simulate_catalogue(
            n_bright, 21, population="parent", instrument=Instrument(magnitude_limit=BRIGHT[1])
        )
        bright = bright[bright["mag_r"] > BRIGHT[0]]
        parent, whole, unseen = (
            simulate_catalogue(n_parent, 22, population="parent", without=without)
            for without in ((), ("fibre",), ("lines",))
        )
        result = {
            "catalogues": compare_catalogues(bright_galaxies(), bright),
            "percentiles": compare_percentiles(parent),
            "explanations": try_explanations(parent, whole, unseen),
        }
        store(path, result, key, options.command)
    if options.cutouts:
        files = sorted(options.cutouts.glob("*.jpg"))
        real = np.stack([decode_jpeg(file.read_bytes()) for file in files])
        simulated = render(simulate_catalogue(4 * len(real), 23), 23)
        result = compare_cutouts(real, simulated)
        call = f"{options.command} --cutouts FOLDER"
        store(options.folder / "realism_cutouts.json", result, key, call)


if __name__ == "__main__":
    main()
