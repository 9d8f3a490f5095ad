"""Surveys in the layout of the Multimodal Universe, which the Hugging Face Hub and its tools read.

The Multimodal Universe (2024, arXiv 2412.02527) has two forms of a data set, and so have we. On the
Hub: a row a galaxy in Parquet files, with `object_id`, `ra`, `dec`, `healpix` and pictures as
`rgb_image` with their `rgb_pixel_scale`; `datasets.load_dataset` reads it. On disk, for
cross-matches: an HDF5 file for each pixel of a HEALPix map (16 pixels along a side, nested) that
has galaxies, for which `galcfm.survey.multimodal` has the builder.
"""

import io
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from galcfm.paths import disk_errors_in_a_sentence, replacing, require_own_files, write_json
from galcfm.properties import MAGNITUDE_ERRORS, MAGNITUDES, PROPERTIES, PROPERTY_NAMES
from galcfm.provenance import provenance
from galcfm.survey.cards import BIBTEX, TAGS, card, library, table
from galcfm.survey.images import IMAGE_SHAPE, PIXEL_SCALE
from galcfm.survey.rules import SPLITS, SurveyError

__all__ = ["NSIDE", "data_card", "from_datasets", "to_datasets"]

NSIDE = 16
# A file of about half a gigabyte.
ROWS_A_FILE = 16_384
DATA_FILES = ("data/*-?????-of-?????.parquet", "healpix=*/001-of-001.hdf5")
OWN_FILES = ("README.md", "dataset.json", *DATA_FILES)
# A data set is made beside its place, and moved there when it is whole.
PARTIAL, WHOLE = ".partial", ".whole"
FOLDER_FILES = (*OWN_FILES, *(f"{p}/{name}" for p in (PARTIAL, WHOLE) for name in OWN_FILES))
FOLDER_FILES += (".cache/*",)
# What the layout adds to the columns of a survey.
ADDED = ("healpix", "rgb_image", "rgb_pixel_scale")


def to_datasets(survey, folder: Path | str, layout: str) -> None:
    """Write a survey and its card: `Survey.to_datasets`."""
    folder = Path(folder)
    writers = {"parquet": _write_parquet, "healpix": _write_healpix}
    if layout not in writers:
        raise SurveyError(f"no layout called {layout!r}: choose from {', '.join(writers)}")
    require_own_files(folder, FOLDER_FILES, "a data set", SurveyError)
    catalogue = _with_pixels(survey.catalogue)
    with disk_errors_in_a_sentence(folder):
        partial = folder / PARTIAL
        for left in (partial, folder / WHOLE):
            shutil.rmtree(left, ignore_errors=True)
        writers[layout](catalogue, survey.images, partial)
        write_json(
            partial / "dataset.json",
            {"parameters": survey.parameters, "provenance": provenance(), "layout": layout},
        )
        (partial / "README.md").write_text(data_card(survey, folder.name, layout))
        _put_in_place(folder)


def _put_in_place(folder: Path) -> None:
    """Move what is whole over what was there; where it is interrupted, `from_datasets` says so."""
    whole = (folder / PARTIAL).rename(folder / WHOLE)
    for pattern in DATA_FILES:
        for old in folder.glob(pattern):
            old.unlink()
    for path in sorted(path for path in whole.rglob("*") if path.is_file()):
        place = folder / path.relative_to(whole)
        place.parent.mkdir(exist_ok=True)
        path.replace(place)
    shutil.rmtree(whole)


def from_datasets(cls, source, options: dict):
    """Read a survey from a data set: `Survey.from_datasets`."""
    if isinstance(source, str | Path) and Path(source).is_dir():
        return _from_folder(cls, Path(source))
    if isinstance(source, str | Path):
        hub = library("huggingface_hub", SurveyError)
        try:
            folder = hub.snapshot_download(str(source), repo_type="dataset", **options)
        except (OSError, ValueError, hub.errors.HTTPError) as error:
            reason = str(error).partition("\n")[0]
            raise SurveyError(
                f"{source} is no folder, and no data set that the Hub gives: check the name, and "
                f"give token if it is private ({reason})"
            ) from error
        return _from_folder(cls, Path(folder), str(source))
    splits = source if isinstance(source, dict) else {None: source}
    tables, pictures = [], []
    for split, rows in splits.items():
        if "rgb_image" in rows.column_names:
            pictures += [_pixels(row["rgb_image"]) for row in rows.select_columns(["rgb_image"])]
            rows = rows.remove_columns("rgb_image")
        tables.append(rows.with_format("pandas")[:])
        if split is not None and "split" not in tables[-1]:
            tables[-1]["split"] = str(split)
    return _survey(cls, tables, pictures, {"kind": "datasets"}, "data set")


def _with_pixels(catalogue: pd.DataFrame) -> pd.DataFrame:
    healpix = library("astropy_healpix", SurveyError)
    position = catalogue[["ra", "dec"]].to_numpy(np.float64)
    bad = ~(np.isfinite(position).all(1) & (np.abs(position[:, 1]) <= 90))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise SurveyError(
            f"row {row} (object_id {catalogue['object_id'][row]!r}): ra, dec are "
            f"{position[row].tolist()}, which is no place in the sky; {bad.sum()} such rows: data "
            "sets are ordered by position, so give it"
        )
    from astropy import units

    sky = healpix.HEALPix(NSIDE, order="nested")
    pixels = sky.lonlat_to_healpix(*(position.T * units.deg))
    return catalogue.assign(healpix=np.asarray(pixels, np.int64))


def _write_parquet(catalogue: pd.DataFrame, images, folder: Path) -> None:
    datasets = library("datasets", SurveyError)
    plain = datasets.Features.from_arrow_schema(_arrow(catalogue.head(1)).schema)
    pictures = {"rgb_image": datasets.Image(), "rgb_pixel_scale": datasets.Value("float32")}
    features = datasets.Features(plain | (pictures if images is not None else {}))
    for split in SPLITS:
        rows = np.flatnonzero(catalogue["split"] == split)
        n_files = -(-len(rows) // ROWS_A_FILE)
        for k in range(n_files):
            part = rows[k * ROWS_A_FILE : (k + 1) * ROWS_A_FILE]
            content = _arrow(catalogue.iloc[part])
            if images is not None:
                for name, column in _picture_columns(images, part).items():
                    content = content.append_column(name, column)
            path = folder / "data" / f"{split}-{k:05d}-of-{n_files:05d}.parquet"
            with replacing(path) as temporary:
                # With the features in its head, so that pictures are read as pictures.
                content = content.cast(features.arrow_schema)
                _parquet().write_table(content, temporary, row_group_size=256)


def _parquet():
    import pyarrow.parquet

    return pyarrow.parquet


def _arrow(catalogue: pd.DataFrame):
    import pyarrow

    found = pyarrow.Table.from_pandas(catalogue, preserve_index=False).replace_schema_metadata()
    kinds = [
        pyarrow.field(f.name, pyarrow.string() if "string" in str(f.type) else f.type)
        for f in found.schema
    ]
    return found.cast(pyarrow.schema(kinds))


def _picture_columns(images, rows: np.ndarray) -> dict:
    import pyarrow

    kind = pyarrow.struct({"bytes": pyarrow.binary(), "path": pyarrow.string()})
    pictures = [{"bytes": _png(images[row]), "path": None} for row in rows]
    scale = np.full(len(rows), PIXEL_SCALE, np.float32)
    return {"rgb_image": pyarrow.array(pictures, kind), "rgb_pixel_scale": pyarrow.array(scale)}


def _png(image: np.ndarray) -> bytes:
    """PNG of a picture, which keeps each pixel."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.asarray(image)).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _pixels(picture) -> np.ndarray:
    """Pixels of a picture, as `datasets` or Parquet have it."""
    from PIL import Image

    if isinstance(picture, dict):
        picture = Image.open(io.BytesIO(picture["bytes"]))
    return np.asarray(picture.convert("RGB") if hasattr(picture, "convert") else picture, np.uint8)


def _write_healpix(catalogue: pd.DataFrame, images, folder: Path) -> None:
    h5py = library("h5py", SurveyError)
    for pixel, rows in sorted(catalogue.groupby("healpix").indices.items()):
        with (
            replacing(folder / f"healpix={pixel}" / "001-of-001.hdf5") as temporary,
            h5py.File(temporary, "w") as file,
        ):
            for name, column in catalogue.iloc[rows].items():
                values = column.to_numpy()
                if column.dtype.kind not in "biuf":
                    # Of a fixed length, as the builders of the Multimodal Universe expect.
                    values = np.array([str(value).encode() for value in values])
                file.create_dataset(name, data=values)
            if images is not None:
                file.create_dataset(
                    "rgb_image", data=images[rows], chunks=(1, *IMAGE_SHAPE), compression="gzip"
                )
                scale = np.full(len(rows), PIXEL_SCALE, np.float32)
                file.create_dataset("rgb_pixel_scale", data=scale)


def _from_folder(cls, folder: Path, name: str | None = None):
    if (folder / WHOLE).exists():
        raise SurveyError(
            f"{folder} was being replaced when that was interrupted: call to_datasets again"
        )
    tables, pictures = [], []
    for content in _read_parts(folder):
        found = content.pop("rgb_image", None)
        pictures += [] if found is None else [_pixels(picture) for picture in found]
        tables.append(pd.DataFrame(content))
    if not tables:
        raise SurveyError(
            f"{name or folder} has neither data/*.parquet nor healpix=*/*.hdf5: it is no survey as "
            "to_datasets writes it"
        )
    path = folder / "dataset.json"
    known = json.loads(path.read_text())["parameters"] if path.exists() else {"kind": "datasets"}
    return _survey(cls, tables, pictures, known, name or str(folder))


def _read_parts(folder: Path) -> Iterator[dict]:
    order = {split: k for k, split in enumerate(SPLITS)}
    parts = list(folder.glob("data/*.parquet"))
    for path in parts:
        name = re.fullmatch(r"(.+)-\d{5}-of-(\d{5})", path.stem)
        for k in range(int(name[2]) if name else 0):
            other = path.with_name(f"{name[1]}-{k:05d}-of-{name[2]}.parquet")
            if not other.exists():
                raise SurveyError(f"{other} is missing: fetch or make the data set again")
    for path in sorted(parts, key=lambda p: (order.get(p.name.partition("-")[0], 9), p.name)):
        content = _parquet().read_table(path)
        pictures = {}
        if "rgb_image" in content.column_names:
            pictures = {"rgb_image": content["rgb_image"].to_pylist()}
            content = content.drop_columns("rgb_image")
        yield dict(content.to_pandas().items()) | pictures
    for path in sorted(folder.glob("healpix=*/*.hdf5")):
        with library("h5py", SurveyError).File(path) as data:
            yield {
                name: [value.decode() for value in values]
                if values.dtype.kind == "S"
                else values[:]
                for name, values in data.items()
            }


def _survey(cls, tables: list[pd.DataFrame], pictures: list, parameters: dict, name: str):
    catalogue = pd.concat(tables, ignore_index=True)
    catalogue = catalogue.drop(columns=[c for c in ADDED if c in catalogue])
    shapes = {picture.shape for picture in pictures} - {IMAGE_SHAPE}
    if shapes:
        height, width, _ = shapes.pop()
        raise SurveyError(
            f"{name}: a picture has {width}×{height} pixels, and 128×128 of 0.396″ are needed: "
            "take its table and pictures through from_table, which resamples them"
        )
    return cls(catalogue, np.stack(pictures) if pictures else None, parameters, name)


UNITS = {
    "object_id": ("", "identifier"),
    "ra": ("deg", "right ascension"),
    "dec": ("deg", "declination"),
    "healpix": ("", f"pixel of the HEALPix map with nside = {NSIDE}, nested"),
    "redshift": ("", "spectroscopic redshift"),
    "ebv": ("mag", "E(B-V) of the Galaxy, on the scale of Schlegel et al. (1998)"),
    **{
        name: ("mag", f"AB, whole galaxy, extinction removed, band {name[-1]}")
        for name in MAGNITUDES
    },
    **{name: ("mag", f"its standard deviation, band {name[-1]}") for name in MAGNITUDE_ERRORS},
    **{p.name: (p.unit, p.description) for p in PROPERTIES},
    "split": ("", "train, validation or test, by a hash of object_id"),
    "rgb_image": ("", "128×128 pixels, channels i, r, g by the colour recipe of SDSS"),
    "rgb_pixel_scale": ("arcsec", "width of a pixel"),
}
LICENCES = {
    "simulated": ("bsd-3-clause", "BSD 3-Clause, as galcfm, which drew the galaxies."),
    "sdss": (
        "cc-by-4.0",
        "SDSS data are in the public domain, its images under CC BY; credit the Sloan Digital Sky "
        "Survey.",
    ),
}


def data_card(survey, name: str, layout: str = "parquet") -> str:
    """The card of a survey in the Hub's format: intended use, population, labels, limits.

    Arguments:
        survey: the survey.
        name: of the data set.
        layout: as `Survey.to_datasets` takes it.

    Returns:
        Markdown with a head of YAML.
    """
    catalogue, kind = survey.catalogue, survey.parameters.get("kind", "unknown")
    licence, rights = LICENCES.get(
        kind, ("other", "That of the table and pictures that it was made from: name it here.")
    )
    counts = catalogue["split"].value_counts()
    present = [*catalogue.columns, "healpix"]
    present += ["rgb_image", "rgb_pixel_scale"] * (survey.images is not None)
    known = [c for c in UNITS if c in present]
    rest = [f"`{c}`" for c in present if c not in UNITS]
    if kind == "simulated":
        origin = (
            "The galaxies are simulated, from published relations, stellar population models and "
            "rendered images. They are for learning and testing methods; no measurement of real "
            "galaxies follows from them."
        )
    else:
        origin = (
            f"The galaxies are of: {survey.source}. They are for training and testing models of "
            "galaxies selected in the same way."
        )
    return card(
        _facts(name, licence, len(survey), layout, [s for s in SPLITS if s in counts]),
        f"# {name}",
        f"{len(survey)} galaxies with ugriz magnitudes"
        + ", gri cutouts" * (survey.images is not None)
        + " and five properties, in the layout of the Multimodal Universe. The companion to "
        "*Improving Posterior Inference of Galaxy Properties with Image-Based Conditional Flow "
        "Matching* ([arXiv 2512.05078](https://arxiv.org/abs/2512.05078)) makes and uses it.",
        "## Intended use",
        origin,
        "```python\nfrom galcfm import Survey\n\n"
        f'survey = Survey.from_datasets("{name}")  # a folder, or "owner/name" on the Hub\n'
        "```",
        "## Population",
        ", ".join(f"{counts[s]} in `{s}`" for s in SPLITS if s in counts)
        + ". Percentiles over all galaxies that have the number:",
        table(
            ["column", "known of", "1 %", "16 %", "50 %", "84 %", "99 %"],
            [_percentiles(catalogue, c) for c in _summarised(catalogue)],
        ),
        "## Columns",
        table(["column", "unit", "meaning"], [[f"`{c}`", UNITS[c][0], UNITS[c][1]] for c in known]),
        f"Further columns: {', '.join(rest)}. `<property>_err` is the standard deviation of a "
        "label's error, and `<property>_true` the label of a simulated galaxy without it."
        if rest
        else "",
        "## Calibration of the labels",
        _label_errors(catalogue),
        "## Limits",
        "A model that is trained on these galaxies has their distribution for its prior, and knows "
        "no others." + " Cutouts are coloured pictures, not fluxes." * (survey.images is not None),
        "## How it was made",
        f"```json\n{json.dumps(_without_paths(survey.parameters), indent=2, default=str)}\n```",
        "## Licence and citation",
        rights,
        BIBTEX,
    )


def _facts(name: str, licence: str, n: int, layout: str, splits: list[str]):
    """What the Hub itself reads of a card."""
    hub = library("huggingface_hub", SurveyError)
    bounds = (1_000, 10_000, 100_000, 1_000_000)
    words = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M")
    files = {
        "parquet": [{"split": s, "path": f"data/{s}-*"} for s in splits],
        "healpix": [{"split": "train", "path": "healpix=*/*.hdf5"}],
    }
    return hub.DatasetCardData(
        pretty_name=name,
        license=licence,
        size_categories=[words[int(np.searchsorted(bounds, n, "right"))]],
        tags=[*TAGS, "multimodal-universe"],
        configs=[{"config_name": "default", "data_files": files[layout]}],
    )


def _summarised(catalogue: pd.DataFrame) -> list[str]:
    return [c for c in ("redshift", *MAGNITUDES, *PROPERTY_NAMES) if c in catalogue]


def _percentiles(catalogue: pd.DataFrame, column: str) -> list[str]:
    values = catalogue[column].to_numpy(np.float64)
    values = values[np.isfinite(values)]
    shown = np.percentile(values, [1, 16, 50, 84, 99]) if len(values) else []
    return [f"`{column}`", f"{len(values)}", *(f"{x:.3f}" for x in shown)] + [""] * (
        0 if len(values) else 5
    )


def _label_errors(catalogue: pd.DataFrame) -> str:
    errors = {p.name: f"{p.name}_err" for p in PROPERTIES if f"{p.name}_err" in catalogue}
    if not errors:
        return "The errors of the labels are not known."
    rows = [
        [f"`{name}`", f"{np.nanmedian(catalogue[column].to_numpy(np.float64)):.3f}"]
        for name, column in errors.items()
    ]
    return "Median of the errors that the labels have:\n\n" + table(["property", "error"], rows)


def _without_paths(content):
    """Parameters without folders of the machine that made them."""
    if isinstance(content, dict):
        return {k: _without_paths(v) for k, v in content.items()}
    return Path(content).name if isinstance(content, str) and "/" in content else content
