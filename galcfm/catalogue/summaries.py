"""What is kept of each galaxy's posterior, and what each column is.

A galaxy is drawn, and its draws are summarised, in a computation of its own whose shapes depend on
the settings alone: the same products in other company differ in the last bits. So a row is the same
bits wherever the catalogue is cut, on processors of one kind; a GPU, which needs many galaxies at a
time, agrees to rounding.
"""

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np

from galcfm.flow import block_rows
from galcfm.posterior import Posterior
from galcfm.posterior.summaries import column_of
from galcfm.properties import PROPERTIES, PROPERTY_NAMES

__all__ = ["Column", "columns_of", "schema_of", "summarise"]

STATISTICS = ("mean", "median", "p16", "p84")
PAIRS = tuple(combinations_with_replacement(range(len(PROPERTIES)), 2))


@dataclass(frozen=True)
class Column:
    """A column of the result: its name, kind, unit, description and UCD."""

    name: str
    kind: str
    unit: str
    description: str
    ucd: str = ""


def columns_of(model: Posterior, carried: tuple[str, ...], n_draws: int, healpix: bool) -> list:
    """The columns of the result, in their order.

    Arguments:
        model: which is inferred with.
        carried: columns of the source that are kept: of `ra`, `dec` and `redshift`.
        n_draws: draws a galaxy that are kept.
        healpix: whether the result is a HATS catalogue.
    """
    described = {
        "ra": ("deg", "right ascension, as in the source", "pos.eq.ra;meta.main"),
        "dec": ("deg", "declination, as in the source", "pos.eq.dec;meta.main"),
        "redshift": ("", "redshift, as in the source", "src.redshift"),
    }
    found = [Column("_healpix_29", "int64", "", "HEALPix index of order 29")] if healpix else []
    found.append(Column("object_id", "string", "", "identifier in the source", "meta.id;meta.main"))
    found += [Column(name, "double", *described[name]) for name in carried]
    units = []
    for p in PROPERTIES:
        for statistic in STATISTICS:
            unit, meaning, ucd = column_of(p, statistic)
            found.append(Column(f"{p.name}_{statistic}", "float", unit or "", meaning, ucd))
        units.append(unit or "")
    for a, b in PAIRS:
        of = " and ".join(dict.fromkeys((PROPERTY_NAMES[a], PROPERTY_NAMES[b])))
        word = "variance" if a == b else "covariance"
        product = f"{units[a]}2" if units[a] == units[b] else f"{units[a]} {units[b]}"
        unit = product.strip() if units[a] or units[b] else ""
        found.append(
            Column(_covariance(a, b), "float", unit, f"posterior {word} of {of}", f"stat.{word}")
        )
    for part in model.ranges:
        found += [
            Column(
                f"{part}_p",
                "float",
                "",
                f"share of held-out training galaxies at least as unusual in {part}",
                "stat.probability",
            ),
            Column(
                f"{part}_outside",
                "bool",
                "",
                f"{part} outside the training range: the posterior means little",
                "meta.code.qual",
            ),
        ]
    if n_draws:
        found.append(Column("draws", "nested", "", f"the first {n_draws} posterior draws"))
    return found


def _covariance(a: int, b: int) -> str:
    return f"cov_{PROPERTY_NAMES[a]}_{PROPERTY_NAMES[b]}"


def schema_of(columns: list[Column], description: str):
    """Arrow schema, which says to TOPCAT and astropy what each column is.

    Units and descriptions stand twice: as a VOTable without rows (the convention VOParquet, which
    TOPCAT reads) and as astropy's own YAML.
    """
    import pyarrow as pa
    from astropy.table import Column as AstropyColumn
    from astropy.table import Table
    from astropy.table.meta import get_yaml_from_table

    kinds = {
        "int64": pa.int64(),
        "string": pa.string(),
        "double": pa.float64(),
        "float": pa.float32(),
        "bool": pa.bool_(),
        "nested": pa.struct([(name, pa.list_(pa.float32())) for name in PROPERTY_NAMES]),
    }
    numpy_kinds = {"string": "U64", "double": "f8", "float": "f4", "bool": "?", "int64": "i8"}
    fields = [
        pa.field(c.name, kinds[c.kind], metadata={"unit": c.unit, "description": c.description})
        for c in columns
    ]
    table = Table(meta={"description": description})
    for column in columns:
        # Neither convention knows nested columns; readers that do find them by their kind.
        if column.kind != "nested":
            table[column.name] = AstropyColumn(
                np.empty(0, numpy_kinds[column.kind]),
                unit=column.unit or None,
                description=column.description,
                meta={"ucd": column.ucd} if column.ucd else None,
            )
    metadata = {
        "IVOA.VOTable-Parquet.version": "1.0",
        "IVOA.VOTable-Parquet.content": _votable(table),
        "table_meta_yaml": "\n".join(get_yaml_from_table(table)),
    }
    return pa.schema(fields, metadata=metadata)


def _votable(table) -> str:
    from astropy.io.votable import from_table

    with warnings.catch_warnings():
        # The dex is no unit of the VO's own list; TOPCAT shows it.
        warnings.simplefilter("ignore")
        document = from_table(table)
        (found,) = document.iter_tables()
        found.description = table.meta["description"]
        for field in found.fields:
            field.ucd = table[field.name].meta.get("ucd")
        document.to_xml(content := io.BytesIO())
    return content.getvalue().decode()


def summarise(
    model: Posterior,
    magnitudes: np.ndarray,
    images: np.ndarray | None,
    object_id,
    *,
    redshift=None,
    magnitude_errors=None,
    n_samples: int,
    steps: int,
    seed: int,
    n_draws: int = 0,
    each: Callable[[int], None] | None = None,
) -> dict[str, np.ndarray]:
    """Columns of the result for some galaxies.

    Arguments:
        model: which is inferred with.
        magnitudes, images, redshift, magnitude_errors: as `Posterior.encode` takes them.
        object_id: identifiers, `(n,)`, on which alone the noise depends.
        n_samples, steps, seed: as `Posterior.sample` takes them.
        n_draws: of these draws kept, as `draws (n, n_draws, 5)`.
        each: called with the number of galaxies that are newly done; may raise to end the work.
    """
    import torch

    n, n_properties = len(magnitudes), len(PROPERTIES)
    at_once = 1
    if model.device.type != "cpu":
        at_once = max(1, block_rows(model.device) // n_samples)
    mean, median, low, high = np.empty((4, n, n_properties), np.float32)
    covariance = np.empty((n, len(PAIRS)), np.float32)
    draws = np.empty((n, n_draws, n_properties), np.float32)
    conditions = []
    upper = np.array(PAIRS).T
    for start in range(0, n, at_once):
        rows = slice(start, start + at_once)
        given = {"redshift": redshift, "magnitude_errors": magnitude_errors}
        condition = model.encode(
            magnitudes[rows],
            None if images is None else images[rows],
            **{k: None if v is None else v[rows] for k, v in given.items()},
        )
        conditions.append(condition)
        samples = model.sample_from(condition, object_id[rows], n_samples, steps, seed).numpy()
        for row, theta in enumerate(samples.astype(np.float64), start):
            mean[row] = theta.mean(0)
            low[row], median[row], high[row] = np.quantile(theta, (0.16, 0.5, 0.84), axis=0)
            covariance[row] = np.cov(theta, rowvar=False)[*upper]
        draws[rows] = samples[:, :n_draws]
        if each is not None:
            each(len(samples))
    condition = torch.cat(conditions) if conditions else torch.empty(0, 0)
    columns = {}
    for k, name in enumerate(PROPERTY_NAMES):
        for statistic, values in zip(STATISTICS, (mean, median, low, high), strict=True):
            columns[f"{name}_{statistic}"] = values[:, k]
    columns |= {_covariance(*pair): covariance[:, k] for k, pair in enumerate(PAIRS)}
    if n:
        columns |= {k: v.to_numpy() for k, v in model.out_of_range_from(condition).items()}
    return columns | ({"draws": draws} if n_draws else {})
