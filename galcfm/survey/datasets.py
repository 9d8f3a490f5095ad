"""Surveys in the layout of the Multimodal Universe, which the Hugging Face Hub and its tools read.

The layout follows data sets of the Multimodal Universe (2024, arXiv 2412.02527) on the Hub: Parquet
files with one row per galaxy, with `object_id`, `ra`, `dec`, `healpix` (nside = 16, nested), and
images as `rgb_image` with their `rgb_pixel_scale`, or fluxes per pixel as `image` with `band`,
`flux` and `scale`. Embeddings are columns `embedding_NAME`. `datasets.load_dataset` reads them.
"""

import json
import os
import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from galcfm.json_files import JsonFile, object_of
from galcfm.paths import (
    damage_in_a_sentence,
    disk_errors_in_a_sentence,
    hold,
    let_go,
    remove_own,
    require_own_files,
    user_path,
)
from galcfm.properties import Declaration, Embedding, LinearCutouts
from galcfm.provenance import provenance
from galcfm.survey.cards import TAGS, library, render
from galcfm.survey.cutouts import linear_of
from galcfm.survey.disk import Parameters, beside, put_in_place, recover
from galcfm.survey.embeddings import Embeddings, read_embedding
from galcfm.survey.images import IMAGE_SHAPE, PIXEL_SCALE, picture_pixels, require_colours
from galcfm.survey.rules import SPLITS, SurveyError
from galcfm.survey.sky import SAME_SCALE
from galcfm.survey.tables import SourceTable

__all__ = ["NSIDE", "data_card", "from_datasets", "to_datasets"]

NSIDE = 16
# A file with this number of rows has about half a gigabyte.
ROWS_PER_FILE = 16_384
OWN_FILES = ("README.md", "dataset.json", "data/*-?????-of-?????.parquet")
Made = object_of(parameters=Parameters)
DATASET = JsonFile("dataset.json", Made, "Fetch or make the data set again.")
# Columns that the layout adds to the columns of a survey.
ADDED = ("healpix", "rgb_image", "rgb_pixel_scale")
EMBEDDING = "embedding_{}"


def to_datasets(survey, folder: Path | str) -> None:
    """Write the survey in the layout of the Multimodal Universe, with a card as README.md.

    `datasets.load_dataset(folder)` reads it, and `hf upload owner/name folder --repo-type dataset`
    puts it on the Hugging Face Hub.

    Arguments:
        folder: Folder of the data set; an existing data set is replaced.

    Raises:
        SurveyError: The folder contains other files, another thread or process writes it, or a
            galaxy has no position.
        OSError: The folder cannot be written.
    """
    folder = Path(os.path.realpath(user_path(folder, "the folder", SurveyError)))
    require_own_files(folder, OWN_FILES, "a data set", SurveyError)
    catalogue = _with_pixels(survey.catalogue)
    partial, lock = beside(folder, "partial"), beside(folder, "lock")
    with disk_errors_in_a_sentence(folder):
        hold(lock, SurveyError(f"another process or thread is making {folder}: wait for it"))
        try:
            recover(folder, OWN_FILES, "a data set")
            remove_own(partial, OWN_FILES, "an unfinished data set", SurveyError)
            _write(catalogue, survey, partial)
            known = {"parameters": survey.parameters, "provenance": provenance()}
            DATASET.write(partial / "dataset.json", known)
            text = data_card(survey, folder.name)
            (partial / "README.md").write_text(text, encoding="utf-8")
            put_in_place(partial, folder, OWN_FILES, "a data set")
        finally:
            let_go(lock)


def from_datasets(cls, source, **options):
    """Read a survey that `to_datasets` wrote, or a data set with the same columns.

    Galaxies are ordered by split, and within a split as in the files.

    Arguments:
        source: Folder, `"owner/name"` on the Hugging Face Hub, or a `datasets.Dataset` or
            `DatasetDict`. For other data sets, pass `dataset.to_pandas()` to `from_table`.
        options: Options of `huggingface_hub.snapshot_download`, e.g. `revision` or `token`.

    Raises:
        SurveyError: The data set does not exist, or is not a survey.
    """
    parameters, name = {"kind": "datasets"}, "data set"
    if isinstance(source, str | Path):
        name, folder = str(source), user_path(source, "the data set", SurveyError)
        if not folder.is_dir():
            folder = _downloaded(name, options)
        parts = list(_parts(folder))
        if not parts:
            raise SurveyError(
                f"{name} has no data/*.parquet: give a data set that to_datasets wrote"
            )
        if (folder / "dataset.json").exists():
            parameters = DATASET.read(folder / "dataset.json", SurveyError)["parameters"]
    else:
        splits = source if isinstance(source, dict) else {None: source}
        if not all(hasattr(rows, "to_pandas") for rows in splits.values()):
            raise SurveyError(
                f"a value of type {type(source).__name__} is not a data set: give a folder, "
                "owner/name on the Hub, or the result of datasets.load_dataset"
            )
        parts = [rows.to_pandas() for rows in splits.values()]
        for split, part in zip(splits, parts, strict=True):
            if split is not None and "split" not in part:
                part["split"] = str(split)
    catalogue = pd.concat(parts, ignore_index=True)
    declaration, images = Declaration.of(parameters.get("declaration", {})), None
    column = "image" if declaration.cutouts else "rgb_image"
    if column in catalogue:
        rows = (row for _, row in catalogue.iterrows())
        images = np.stack([_pixels(row, column, declaration.cutouts, name) for row in rows])
    embeddings = {each.name: _vectors(each, catalogue, name) for each in declaration.embeddings}
    added = [*ADDED, column, *(EMBEDDING.format(each) for each in embeddings)]
    catalogue = catalogue.drop(columns=added, errors="ignore")
    _require_plain(catalogue, name)
    return cls(catalogue, images, parameters, name, embeddings=embeddings)


def _vectors(each: Embedding, catalogue: pd.DataFrame, where: str) -> np.ndarray:
    """Return an embedding from its column, float32 `(n, length)`.

    Raises:
        SurveyError: The column is missing, or a vector is missing or unusable.
    """
    given = Embeddings(EMBEDDING.format(each.name), each.model)
    table, reasons = SourceTable(catalogue, where), [[] for _ in range(len(catalogue))]
    ids = [str(name) for name in catalogue["object_id"]]
    values = read_embedding(given, each.name, table, ids, reasons, each.length)
    for row, reason in enumerate(reasons):
        if reason:
            raise SurveyError(f"{where}, row {row} (object_id {ids[row]!r}): {reason[0]}")
    return values


def _pixels(row: pd.Series, column: str, linear: LinearCutouts | None, where: str) -> np.ndarray:
    """Return the image in a row of a data set, uint8 `(128, 128, 3)`, or its linear cutout.

    Raises:
        SurveyError: The image is missing, unusable, or of another size or scale.
    """
    cell, scale = row[column], row.get("rgb_pixel_scale", PIXEL_SCALE)
    try:
        if linear:
            known = linear.bands, linear.size, linear.pixel_scale
            return linear_of(cell, *known, unit="nanomaggy", stated=())
        content, path = (cell.get(k) if isinstance(cell, dict) else None for k in ("bytes", "path"))
        if content is None and path is None:
            raise ValueError("there is no image: remove the row")
        pixels = picture_pixels(path if content is None else BytesIO(content))
        if pixels.shape != IMAGE_SHAPE or not abs(scale / PIXEL_SCALE - 1) < SAME_SCALE:
            height, width, _ = pixels.shape
            raise ValueError(
                f"it has {width}×{height} pixels of {scale:.3f} arcsec, but 128×128 of 0.396 are "
                "needed: give the table and its images to Survey.from_table, which resamples them"
            )
        return require_colours(pixels)
    except (TypeError, ValueError) as error:
        raise SurveyError(
            f"{where}, row {row.name} (object_id {row.get('object_id')!r}): {column}: {error}"
        ) from error


def _require_plain(catalogue: pd.DataFrame, where: str) -> None:
    """Check that no column contains vectors or dicts, as fluxes of the Multimodal Universe do.

    Raises:
        SurveyError: A column contains vectors or dicts.
    """
    for column in (c for c in catalogue if catalogue[c].dtype.kind == "O"):
        cell = next(iter(catalogue[column].dropna()), None)
        if isinstance(cell, dict | list | np.ndarray):
            raise SurveyError(
                f"{where}: column {column!r} contains a {type(cell).__name__} per row: remove it. "
                "For fluxes per pixel use Survey.from_table and galcfm.survey.cutouts.Cutouts"
            )


def _downloaded(name: str, options: dict) -> Path:
    hub = library("huggingface_hub", SurveyError)
    try:
        return Path(hub.snapshot_download(name, repo_type="dataset", **options))
    except (OSError, ValueError, hub.errors.HTTPError) as error:
        reason = str(error).partition("\n")[0]
        raise SurveyError(
            f"{name} is neither a folder nor a data set on the Hub: check the name, and give token "
            f"if the data set is private ({reason})"
        ) from error


def _parts(folder: Path) -> Iterator[pd.DataFrame]:
    """Yield the content of each file, in the order of the splits."""
    order = {split: k for k, split in enumerate(SPLITS)}
    paths = list(folder.glob("data/*.parquet"))
    for path in sorted(paths, key=lambda p: (order.get(p.name.partition("-")[0], 9), p.name)):
        name = re.fullmatch(r"(.+)-\d{5}-of-(\d{5})", path.stem)
        found = list(folder.glob(f"data/{name[1]}-?????-of-{name[2]}.parquet")) if name else []
        if name and len(found) < int(name[2]):
            raise SurveyError(
                f"{folder} has {len(found)} of {int(name[2])} files of {name[1]}: fetch or make "
                "the data set again"
            )
        with damage_in_a_sentence(path, DATASET.remedy, SurveyError):
            part = pd.read_parquet(path)
        yield part


def _with_pixels(catalogue: pd.DataFrame) -> pd.DataFrame:
    """Return the catalogue with the HEALPix pixel of each galaxy, and with text as objects."""
    from astropy import units

    healpix = library("astropy_healpix", SurveyError)
    position = catalogue[["ra", "dec"]].to_numpy(np.float64)
    bad = ~(np.isfinite(position).all(1) & (np.abs(position[:, 1]) <= 90))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise SurveyError(
            f"row {row} (object_id {catalogue['object_id'][row]!r}): ra, dec are "
            f"{position[row].tolist()}, which is not a position on the sky; {bad.sum()} such rows: "
            "data sets are ordered by position, so give it for all rows"
        )
    sky = healpix.HEALPix(NSIDE, order="nested")
    pixels = sky.lonlat_to_healpix(*(position.T * units.deg))
    text = [name for name in catalogue if catalogue[name].dtype.kind not in "biuf"]
    return catalogue.astype(dict.fromkeys(text, object)).assign(
        healpix=np.asarray(pixels, np.int64)
    )


def _write(catalogue: pd.DataFrame, survey, folder: Path) -> None:
    datasets = library("datasets", SurveyError)
    (folder / "data").mkdir(parents=True)
    for split, rows in catalogue.groupby("split").indices.items():
        files = np.split(rows, np.arange(ROWS_PER_FILE, len(rows), ROWS_PER_FILE))
        for k, part in enumerate(files):
            content = datasets.Dataset.from_pandas(catalogue.iloc[part], preserve_index=False)
            for name, (values, feature) in _added(survey, part, datasets).items():
                content = content.add_column(name, values, feature=feature)
            name = f"{split}-{k:05d}-of-{len(files):05d}.parquet"
            content.to_parquet(folder / "data" / name, batch_size=256)


def _added(survey, rows: np.ndarray, datasets) -> dict[str, tuple]:
    """Return values and feature of each column that is not in the catalogue."""
    number, declared, added = datasets.Value("float32"), survey.declaration, {}
    if survey.images is not None and declared.cutouts is None:
        kind = datasets.Image()
        pictures = [kind.encode_example(np.asarray(survey.images[row])) for row in rows]
        added["rgb_image"] = pictures, kind
        added["rgb_pixel_scale"] = np.full(len(rows), PIXEL_SCALE, np.float32), number
    elif survey.images is not None:
        bands, scale = list(declared.cutouts.bands), declared.cutouts.pixel_scale
        known = {"band": bands, "scale": [scale] * len(bands)}
        # The first row of a record is in the south.
        fluxes = [np.moveaxis(survey.images[row][::-1], 2, 0).tolist() for row in rows]
        plane = datasets.List(datasets.List(number))
        parts = {"band": datasets.Value("string"), "flux": plane, "scale": number}
        feature = {name: datasets.List(kind) for name, kind in parts.items()}
        added["image"] = [known | {"flux": flux} for flux in fluxes], feature
    for each in declared.embeddings:
        vectors = [*np.asarray(survey.embeddings[each.name][rows])]
        added[EMBEDDING.format(each.name)] = vectors, datasets.List(number, each.length)
    return added


# Licences by kind of survey, and the size categories of the Hub.
FACTS = yaml.safe_load(Path(__file__).with_name("data_card.yaml").read_text(encoding="utf-8"))


def data_card(survey, name: str) -> str:
    """Return the card of a survey in the Hub's format: intended use, population, labels, limits.

    Arguments:
        survey: Survey to describe.
        name: Name of the data set.

    Returns:
        Text in Markdown with a head in YAML.
    """
    hub = library("huggingface_hub", SurveyError)
    catalogue, kind = survey.catalogue, survey.parameters.get("kind", "unknown")
    licence, rights = FACTS["licences"].get(kind, FACTS["licences"]["other"])
    counts = catalogue["split"].value_counts()
    counts = [(split, counts[split]) for split in SPLITS if split in counts]
    files = [{"split": split, "path": f"data/{split}-*"} for split, _ in counts]
    facts = hub.DatasetCardData(
        pretty_name=name,
        license=licence,
        size_categories=[next(size for n, size in FACTS["sizes"].items() if len(survey) < n)],
        tags=[*TAGS, "multimodal-universe"],
        configs=[{"config_name": "default", "data_files": files}],
    )
    declared = survey.declaration
    names = dict.fromkeys(["redshift", *declared.magnitudes, *declared.property_names])
    numbers = catalogue[[c for c in names if c in catalogue]]
    percentiles = numbers.quantile([0.01, 0.16, 0.5, 0.84, 0.99])
    errors = [f"{name}_err" for name in declared.property_names]
    errors = catalogue[[c for c in errors if c in catalogue]].median()
    return render(
        Path(__file__).with_name("data_card.md"),
        facts=facts.to_yaml(line_break="\n"),
        survey=survey,
        name=name,
        kind=kind,
        rights=rights,
        declared=declared,
        has_images=survey.images is not None,
        counts=counts,
        columns=list(catalogue),
        percentiles=[(c, numbers[c].count(), percentiles[c]) for c in numbers],
        errors=[(c.removesuffix("_err"), error) for c, error in errors.items()],
        parameters=json.dumps(_without_paths(survey.parameters), indent=2, default=str),
    )


def _without_paths(content):
    """Return parameters in which paths are reduced to file names."""
    if isinstance(content, dict):
        return {k: _without_paths(v) for k, v in content.items()}
    return Path(content).name if isinstance(content, str) and "/" in content else content
