"""Data of the book's page of single galaxies, and the files that contain them.

The page draws in the reader's browser, without a server. It reads no run: galaxies, draws and
cutouts are written next to it when the book is built.
"""

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from contourpy import contour_generator
from scipy.ndimage import gaussian_filter
from scipy.stats import gaussian_kde

from galcfm.figures.style import KDE_FEWEST, aligned, limits
from galcfm.json_files import JsonFile, object_of
from galcfm.metrics import DUST_AGE, PLANES
from galcfm.paths import replacing, user_path
from galcfm.stored_posteriors import load_posteriors, samples_array
from galcfm.survey import Survey
from galcfm.survey.images import IMAGE_SHAPE, PIXEL_SCALE, encode_jpeg

__all__ = ["METRICS", "explorer_data", "explorer_links", "write_explorer", "write_explorer_of_run"]

# Galaxies that lack labels have None in their place.
Lists = dict[str, list[float | None]]
Galaxies = object_of(delta_log_p=Lists, d_kl=Lists, truth=list[list[float | None]])
Evaluation = object_of(galaxies=Galaxies, point_estimates=dict[str, dict[str, float]])
Evaluations = object_of(photometry=Evaluation, image=Evaluation, comparison=dict)
METRICS = JsonFile("metrics.json", Evaluations, "Run the notebook 04_metrics again.")
# With these numbers, galaxies, cutouts and the plotting library together take less than 4.5 MB.
GALAXIES = 500
BINS = 48
LEVELS = (0.68, 0.95)
GRID = 40  # cells of the density along each axis
CORNERS = 24  # largest number of corners of a contour
# LaTeX of the labels as characters that every browser shows.
PLAIN = {
    r"$\log\,$SFR": "log SFR",
    r"\log\,": "log ",
    r"\log": "log",
    r"M_\star": "M⋆",
    r"$_\odot": "⊙",
    r"\,$yr$^{-1}$": " yr⁻¹",
    "D_n": "Dₙ",
    "A_V": "A\u1d65",
    "$": "",
}


def plain_label(label: str) -> str:
    r"""Return an axis label without LaTeX.

    >>> plain_label(r"$\log M_\star$ [M$_\odot$]")
    'log M⋆ [M⊙]'
    """
    for latex, plain in PLAIN.items():
        label = label.replace(latex, plain)
    return label


def planes_of(names: Sequence[str]) -> list[tuple[int, int]]:
    """Return pairs of properties, horizontal axis first; the paper's pairs come first.

    >>> planes_of(["age", "dn4000", "a_v"])
    [(1, 2), (0, 1), (0, 2)]
    """
    pairs = list(combinations(range(len(names)), 2))
    of_paper = [set(plane) for plane in (*PLANES, DUST_AGE)]
    return sorted(pairs, key=lambda pair: {names[k] for k in pair} not in of_paper)


def explorer_data(
    galaxies: Survey, posteriors: Mapping, delta_log_p: Mapping | None = None
) -> dict:
    """Return galaxies and posteriors for the page: plain types, with arrays as base64.

    Arguments:
        galaxies: The galaxies of the posteriors, in their order; the first 500 are shown.
        posteriors: Dataset of each model, as for the figures.
        delta_log_p: Δlog p of the measured properties [nat] by model, in the same order.

    Returns:
        `properties` (d of them) with label, ends of the range and density of the measured values
        over it (`measured`, bytes `(48,)`), `models`, `planes`, `levels`, `first` (row of the
        galaxy with which the page opens), and `galaxies`: for each its numbers, and for each model
        its medians, central 68 % intervals, range flag (`outside`), histograms of all draws
        (`marginals`, bytes `(d, 48)`) and the contours of all planes (`contours`, bytes as
        `_contours` returns them, from the first to the second number of `drawn`).

    Raises:
        ValueError: Posteriors and galaxies differ.
    """
    found = aligned(galaxies.catalogue, posteriors)
    truth, samples, declared = found.values, found.samples, galaxies.declaration
    names, every = list(found.labels), list(samples.values())
    shown, planes = min(len(truth), GALAXIES), planes_of(names)
    ranges = [limits(truth[:, k], *(s[..., k] for s in every)) for k in range(len(names))]
    edges = [np.linspace(*ends, BINS + 1) for ends in ranges]
    properties = [
        {
            "name": p.name,
            "label": plain_label(p.label),
            "description": p.description,
            "range": _rounded(ends, 4),
            "measured": _density(truth[found.labelled(p.name), k], edges[k]),
        }
        for k, (p, ends) in enumerate(zip(found.properties, ranges, strict=True))
    ]
    pooled = np.concatenate([draws[:shown] for draws in every], axis=1)
    low, high = np.quantile(pooled, [0.001, 0.999], axis=1)
    margin = 0.12 * (high - low) + 1e-9
    low, high = low - margin, high + margin
    catalogue = galaxies.catalogue
    optional = {
        "magnitude_errors": list(declared.magnitude_errors),
        "measured_errors": [f"{name}_err" for name in names],
    }
    optional = {key: of for key, of in optional.items() if set(of) <= set(catalogue)}
    entries = []
    for row in range(shown):
        galaxy = {
            "id": str(galaxies.object_id[row]),
            "redshift": _rounded(galaxies.redshift[row], 4),
            "magnitudes": _rounded(galaxies.magnitudes[row], 3),
            "measured": _rounded(truth[row], 3),
            "drawn": [_rounded(low[row], 4), _rounded(high[row], 4)],
            **{key: _rounded(catalogue.loc[row, of], 3) for key, of in optional.items()},
            "models": {},
        }
        for name, draws in samples.items():
            ends = low[row], high[row]
            model = galaxy["models"][name] = _posterior(draws[row], edges, *ends, planes)
            model["outside"] = _flag(posteriors[name], row)
            if delta_log_p is not None:
                model["delta_log_p"] = _rounded(delta_log_p[name][row], 2)
        entries.append(galaxy)
    return {
        "source": galaxies.source,
        "n_galaxies": len(truth),
        "n_draws": every[0].shape[1],
        "bins": BINS,
        "bands": list(declared.bands),
        "cutout_width": round(PIXEL_SCALE * IMAGE_SHAPE[1], 1),
        "properties": properties,
        "planes": [list(plane) for plane in planes],
        "levels": list(LEVELS),
        "models": list(samples),
        "first": _first(delta_log_p, shown),
        "galaxies": entries,
    }


def explorer_links(object_ids, rows) -> str:
    """Return a sentence in HTML that links the galaxies of a chapter's figure to the explorer.

    Arguments:
        object_ids: All test galaxies, in their order.
        rows: Galaxies of the figure, in its order. The explorer shows the first 500 test galaxies;
            the others are not linked.
    """
    page = "../explorer.html#galaxy-"
    links = [
        f'<a href="{page}{object_ids[row]}">{number}</a>'
        for number, row in enumerate(rows, 1)
        if row < GALAXIES
    ]
    return f"<p>Galaxies of this figure in the explorer: {', '.join(links) or 'none'}.</p>"


def write_explorer(data: Mapping, images, posteriors: Mapping, folder: Path | str) -> None:
    """Write the files of the page: `galaxies.js`, and a cutout and the draws of each galaxy.

    Arguments:
        data: Result of `explorer_data`.
        images: Cutouts of the same galaxies, uint8 `(n, 128, 128, 3)`.
        posteriors: Datasets from which `data` was made.
        folder: Folder of the files.

    Raises:
        OSError: The files cannot be written.
    """
    folder = user_path(folder)
    samples = {name: samples_array(posteriors[name]) for name in data["models"]}
    columns = [f"{model}_{p['name']}" for model in samples for p in data["properties"]]
    for row in range(len(data["galaxies"])):
        with replacing(folder / "cutouts" / f"{row}.jpg") as temporary:
            temporary.write_bytes(encode_jpeg(images[row]))
        draws = np.concatenate([s[row] for s in samples.values()], axis=1)
        with (
            replacing(folder / "draws" / f"{row}.csv.gz") as temporary,
            gzip.open(temporary, "wt", encoding="utf-8", compresslevel=6) as file,
        ):
            np.savetxt(file, draws, "%.4f", ",", header=",".join(columns), comments="")
    with replacing(folder / "galaxies.js") as temporary:
        # A script instead of JSON, because a page opened from a disk may not read other files.
        content = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        temporary.write_text(f"window.galcfmGalaxies = {content};\n", encoding="utf-8")


def write_explorer_of_run(run: Path | str, survey: Path | str, folder: Path | str) -> None:
    """Write the files of the page for the test galaxies of a run.

    Arguments:
        run: Folder of the run, with its stored posteriors and metrics.
        survey: Folder of its survey.
        folder: Folder of the files.
    """
    run = user_path(run)
    posteriors = {
        name: load_posteriors(run / f"posteriors_{name}.nc") for name in ("photometry", "image")
    }
    results = METRICS.read(run / "metrics.json")
    gains = {name: results[name]["galaxies"]["delta_log_p"]["exact"] for name in posteriors}
    test = Survey.load(survey).split("test")
    chosen = test.select(range(posteriors["image"].sizes["object_id"]))
    data = explorer_data(chosen, posteriors, gains)
    write_explorer(data, chosen.images, posteriors, folder)


def _posterior(draws: np.ndarray, edges, low: np.ndarray, high: np.ndarray, planes) -> dict:
    """Return the page's data of one posterior, from draws of shape `(S, d)`."""
    return {
        "median": _rounded(np.median(draws, axis=0), 3),
        "interval": _rounded(np.quantile(draws, [0.16, 0.84], axis=0), 3),
        "mean": _rounded(draws.mean(axis=0), 3),
        "marginals": _packed([_heights(draws[:, k], edges[k]) for k in range(len(edges))]),
        "contours": _packed(_contours((draws - low) / (high - low), planes)),
    }


def _rounded(values, digits: int):
    """Return plain numbers with this number of digits; None for missing values."""
    array = np.round(np.asarray(values, dtype=np.float64), digits)
    plain = np.where(np.isfinite(array), array, None)
    return plain.tolist() if array.ndim else plain.item()


def _heights(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return a histogram with a highest bin of 255; values outside count in the outer bins."""
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    return np.rint(255 * counts / counts.max()).astype(np.uint8)


def _density(values: np.ndarray, edges: np.ndarray) -> str:
    """Return the kernel density in the middle of each bin, with a maximum of 255."""
    if len(values) < KDE_FEWEST:
        return _packed(_heights(values, edges))
    density = gaussian_kde(values)((edges[1:] + edges[:-1]) / 2)
    return _packed(np.rint(255 * density / density.max()))


def _packed(array) -> str:
    return base64.b64encode(np.ascontiguousarray(array, dtype=np.uint8).tobytes()).decode()


def _first(delta_log_p: Mapping | None, shown: int) -> int:
    """Return the galaxy at the 95th percentile of the gain, where the image adds much."""
    if delta_log_p is None or not {"image", "photometry"} <= set(delta_log_p):
        return 0
    image, photometry = (
        np.nan_to_num(delta_log_p[m], neginf=-99)[:shown] for m in ("image", "photometry")
    )
    gain = image - photometry
    return int(np.argsort(gain)[19 * shown // 20])


def _flag(dataset, row: int) -> bool:
    """Return whether the model's range check flags a galaxy; False without a range check."""
    flags = [name for name in dataset.coords if name.endswith("_outside")]
    return any(bool(dataset[name].values[row]) for name in flags)


def _contours(draws: np.ndarray, planes: Sequence[tuple[int, int]]) -> list[int]:
    """Return the highest-density contours of each plane as numbers from 0 to 255.

    Arguments:
        draws: Draws in units of the shown range, shape `(S, d)`.
        planes: Pairs of properties.

    Returns:
        For each closed contour: its index `len(LEVELS) * plane + level`, its number n of corners,
        and n pairs x, y.
    """
    edges = np.linspace(0, 1, GRID + 1)
    middle = (edges[1:] + edges[:-1]) / 2
    cells_of = (GRID * draws).astype(int).clip(0, GRID - 1)
    width = len(draws) ** (-1 / 6)  # of the kernel in standard deviations (Scott's rule)
    found: list[int] = []
    for plane, (x, y) in enumerate(planes):
        counts, *_ = np.histogram2d(draws[:, y], draws[:, x], (edges, edges))
        height = gaussian_filter(counts, GRID * width * draws[:, [y, x]].std(axis=0))
        # The contours contain these shares of the draws, independent of the kernel's width.
        at_draws = height[tuple(cells_of[:, [y, x]].T)]
        lines = contour_generator(middle, middle, height)
        for level, inside in enumerate(LEVELS):
            for line in lines.lines(np.quantile(at_draws, 1 - inside)):
                kept = np.rint(255 * line[:: len(line) // CORNERS + 1]).astype(int)
                # Contours smaller than one or two cells are noise of the draws.
                if len(line) > 8:
                    found += [len(LEVELS) * plane + level, len(kept), *kept.clip(0, 255).ravel()]
    return found
