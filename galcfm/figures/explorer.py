"""Data of the book's page of single galaxies, and the files that hold them.

The page draws in the reader's browser, without a server. It reads no run: the galaxies, their
draws and their cutouts are written beside it when the book is built.
"""

import base64
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from scipy.stats import gaussian_kde

from galcfm.figures.style import KDE_FEWEST, aligned, limits
from galcfm.paths import replacing
from galcfm.properties import BANDS, MAGNITUDE_ERRORS, PROPERTIES, PROPERTY_NAMES
from galcfm.stored_posteriors import load_posteriors
from galcfm.survey import Survey
from galcfm.survey.images import IMAGE_SHAPE, PIXEL_SCALE, encode_jpeg

__all__ = ["explorer_data", "write_explorer", "write_explorer_of_run"]

# With these, galaxies, cutouts and the plotting library together stay below 3 MB.
GALAXIES = 400
DRAWS = 64
BINS = 48
# First the horizontal, then the vertical property of each map.
MAPS = (
    ("log_stellar_mass", "log_sfr"),
    ("log_stellar_mass", "oxygen_abundance"),
    ("log_sfr", "oxygen_abundance"),
    ("dn4000", "a_v"),
)
# LaTeX of the labels in characters that a browser shows without help.
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


def explorer_data(
    galaxies: Survey, posteriors: Mapping, delta_log_p: Mapping | None = None
) -> dict:
    """Return galaxies and posteriors as the page reads them: plain types, arrays as base64.

    Arguments:
        galaxies: The galaxies of the posteriors, in their order; the first 400 are shown.
        posteriors: Dataset of each model, as figures take them.
        delta_log_p: By model, log posterior minus log prior density at the measured properties
            [nat], one value per galaxy in the same order.

    Returns:
        `properties` with label, ends of the range and density of the measured values over it
        (`measured`, bytes `(48,)`), `models`, `maps`, and `galaxies`: for each its numbers, and
        for each model its medians, central 68 % intervals, histograms of all draws over that
        range (`marginals`, bytes `(5, 48)`) and some draws (`draws`, bytes `(64, 5)`, from the
        first to the second number of `drawn`).

    Raises:
        ValueError: Posteriors and galaxies are not the same.
    """
    truth, samples = aligned(galaxies.catalogue, posteriors)
    shown = min(len(truth), GALAXIES)
    ranges = [limits(truth[:, k], *(s[..., k] for s in samples.values())) for k in range(5)]
    edges = [np.linspace(*ends, BINS + 1) for ends in ranges]
    properties = [
        {
            "name": p.name,
            "label": plain_label(p.label),
            "description": p.description,
            "range": _rounded(ends, 4),
            "measured": _density(truth[:, k], edges[k]),
        }
        for k, (p, ends) in enumerate(zip(PROPERTIES, ranges, strict=True))
    ]
    some = {name: draws[:shown, :DRAWS] for name, draws in samples.items()}
    pooled = np.concatenate(list(some.values()), axis=1)
    low, high = pooled.min(axis=1), pooled.max(axis=1)
    catalogue = galaxies.catalogue
    optional = {
        "magnitude_errors": list(MAGNITUDE_ERRORS),
        "measured_errors": [f"{p}_err" for p in PROPERTY_NAMES],
    }
    optional = {key: names for key, names in optional.items() if set(names) <= set(catalogue)}
    found = []
    for row in range(shown):
        galaxy = {
            "id": str(galaxies.object_id[row]),
            "redshift": _rounded(galaxies.redshift[row], 4),
            "magnitudes": _rounded(galaxies.magnitudes[row], 3),
            "measured": _rounded(truth[row], 3),
            "drawn": [_rounded(low[row], 4), _rounded(high[row], 4)],
            **{key: _rounded(catalogue.loc[row, names], 3) for key, names in optional.items()},
            "models": {},
        }
        span = np.maximum(high[row] - low[row], 1e-9)
        for name, draws in samples.items():
            model = galaxy["models"][name] = {
                "median": _rounded(np.median(draws[row], axis=0), 3),
                "interval": _rounded(np.quantile(draws[row], [0.16, 0.84], axis=0), 3),
                "mean": _rounded(draws[row].mean(axis=0), 3),
                "marginals": _packed([_heights(draws[row, :, k], edges[k]) for k in range(5)]),
                "draws": _packed(np.rint(255 * (some[name][row] - low[row]) / span)),
            }
            if delta_log_p is not None:
                model["delta_log_p"] = _rounded(delta_log_p[name][row], 2)
        found.append(galaxy)
    return {
        "source": galaxies.source,
        "n_galaxies": len(truth),
        "n_draws": next(iter(samples.values())).shape[1],
        "bins": BINS,
        "bands": list(BANDS),
        "cutout_width": round(PIXEL_SCALE * IMAGE_SHAPE[1], 1),
        "properties": properties,
        "maps": [[PROPERTY_NAMES.index(name) for name in plane] for plane in MAPS],
        "models": list(samples),
        "galaxies": found,
    }


def write_explorer(data: Mapping, images, folder: Path | str) -> None:
    """Write what the page reads: `galaxies.js`, and one `cutouts/ROW.jpg` per galaxy.

    Arguments:
        data: Result of `explorer_data`.
        images: Cutouts of the same galaxies, uint8 `(n, 128, 128, 3)`.
        folder: Folder of the files.

    Raises:
        OSError: The files cannot be written.
    """
    folder = Path(folder)
    for row in range(len(data["galaxies"])):
        with replacing(folder / "cutouts" / f"{row}.jpg") as temporary:
            temporary.write_bytes(encode_jpeg(images[row]))
    with replacing(folder / "galaxies.js") as temporary:
        # A script, not JSON: a page that is opened from a disk may read no other file.
        content = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        temporary.write_text(f"window.galcfmGalaxies = {content};\n", encoding="utf-8")


def write_explorer_of_run(run: Path | str, survey: Path | str, folder: Path | str) -> None:
    """Write what the page reads, for the test galaxies of a run.

    Arguments:
        run: Folder of the run, with its stored posteriors and metrics.
        survey: Folder of its survey.
        folder: Folder of the files.
    """
    run = Path(run)
    posteriors = {
        name: load_posteriors(run / f"posteriors_{name}.nc") for name in ("photometry", "image")
    }
    results = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    gains = {name: results[name]["galaxies"]["delta_log_p"]["exact"] for name in posteriors}
    test = Survey.load(survey).split("test")
    chosen = test.select(range(posteriors["image"].sizes["object_id"]))
    write_explorer(explorer_data(chosen, posteriors, gains), chosen.images, folder)


def _rounded(values, digits: int):
    """Return plain numbers of so many digits; None where there is none."""
    array = np.round(np.asarray(values, dtype=np.float64), digits)
    plain = np.where(np.isfinite(array), array, None)
    return plain.tolist() if array.ndim else plain.item()


def _heights(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return a histogram whose highest bin is 255; values outside count in the outer bins."""
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    return np.rint(255 * counts / counts.max()).astype(np.uint8)


def _density(values: np.ndarray, edges: np.ndarray) -> str:
    """Return the kernel density in the middle of each bin, with 255 as its highest."""
    if len(values) < KDE_FEWEST:
        return _packed(_heights(values, edges))
    density = gaussian_kde(values)((edges[1:] + edges[:-1]) / 2)
    return _packed(np.rint(255 * density / density.max()))


def _packed(array) -> str:
    return base64.b64encode(np.ascontiguousarray(array, dtype=np.uint8).tobytes()).decode()
