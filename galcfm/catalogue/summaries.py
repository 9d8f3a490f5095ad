"""What is kept of each galaxy's posterior, and what each column is.

Each galaxy is drawn and summarised in a computation of its own, whose shapes depend on the settings
alone, because the same matrix product in other company differs in the last bits. A row is therefore
the same to the bit wherever the catalogue is cut, on processors of one kind; a GPU, which needs
many galaxies at a time, agrees to rounding.
"""

import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations_with_replacement

import numpy as np

from galcfm.flow import block_rows
from galcfm.posterior import Posterior
from galcfm.posterior.summaries import GIVEN, column_of, statistics_of
from galcfm.properties import MAGNITUDE_ERRORS, MAGNITUDES, PROPERTIES, PROPERTY_NAMES

__all__ = ["arrow_table", "result_columns", "result_schema", "summarise"]

KEPT = ("mean", "median", "p16", "p84")
PAIRS = tuple(combinations_with_replacement(range(len(PROPERTIES)), 2))
COVARIANCES = tuple(f"cov_{PROPERTY_NAMES[a]}_{PROPERTY_NAMES[b]}" for a, b in PAIRS)


def result_columns(model: Posterior, carried: Sequence[str], healpix: bool):
    """Return an empty astropy `Table` whose columns are those of the result, without draws.

    Arguments:
        model: Trained model.
        carried: Columns of the source that are kept: of `ra`, `dec` and `redshift`.
        healpix: Whether the rows have the spatial index of HATS.
    """
    from astropy.table import Column, Table

    table = Table()

    def add(name, kind, unit, description, ucd=""):
        options = {"unit": unit or None, "description": description, "meta": {"ucd": ucd}}
        table[name] = Column(np.empty(0, kind), **options)

    if healpix:
        add("_healpix_29", "i8", "", "HEALPix index of order 29")
    add("object_id", "U64", "", "identifier in the source", "meta.id;meta.main")
    for name in carried:
        add(name, "f8", *GIVEN[name])
    units = []
    for p in PROPERTIES:
        for statistic in KEPT:
            unit, meaning, ucd = column_of(p, statistic)
            add(f"{p.name}_{statistic}", "f4", unit, meaning, ucd)
        units.append(unit or "")
    for name, (a, b) in zip(COVARIANCES, PAIRS, strict=True):
        of = " and ".join(dict.fromkeys((PROPERTY_NAMES[a], PROPERTY_NAMES[b])))
        word = "variance" if a == b else "covariance"
        unit = f"{units[a]} {units[b]}".strip()
        if units[a] and units[a] == units[b]:
            unit = f"{units[a]}2"
        add(name, "f4", unit, f"posterior {word} of {of}", f"stat.{word}")
    for part in model.ranges:
        text = f"share of held-out training galaxies at least as unusual in {part}"
        add(f"{part}_p", "f4", "", text, "stat.probability")
        text = f"{part} outside the training range: the posterior means little"
        add(f"{part}_outside", "?", "", text, "meta.code.qual")
    return table


def result_schema(model: Posterior, carried: Sequence[str], healpix: bool, settings: dict):
    """Return the Arrow schema of the result, which tells TOPCAT and astropy what each column is.

    Units and descriptions are written twice: as a VOTable without rows (the convention VOParquet,
    which TOPCAT reads) and as astropy's own YAML. Neither knows nested columns such as the draws.

    Arguments:
        model, carried, healpix: As `result_columns` takes them.
        settings: `n_samples`, `steps`, `seed` and `n_draws`.
    """
    import pyarrow as pa
    from astropy.table.meta import get_yaml_from_table

    jumps = model.flow.jumps
    made = f"{jumps} jumps of a student" if jumps else f"{settings['steps']} Runge-Kutta steps"
    table = result_columns(model, carried, healpix)
    table.meta["description"] = (
        "Posteriors of galaxies inferred by conditional flow matching (galcfm, after arXiv "
        f"2512.05078): summaries of {settings['n_samples']} draws by {made}, seed "
        f"{settings['seed']}"
    )
    fields = []
    for name, column in table.columns.items():
        kind = pa.string() if column.dtype.kind == "U" else pa.from_numpy_dtype(column.dtype)
        about = {"unit": str(column.unit or ""), "description": column.description}
        fields.append(pa.field(name, kind, metadata=about))
    if settings["n_draws"]:
        kind = pa.struct([(name, pa.list_(pa.float32())) for name in PROPERTY_NAMES])
        about = {"unit": "", "description": f"the first {settings['n_draws']} posterior draws"}
        fields.append(pa.field("draws", kind, metadata=about))
    metadata = {
        "IVOA.VOTable-Parquet.version": "1.0",
        "IVOA.VOTable-Parquet.content": _votable(table),
        "table_meta_yaml": "\n".join(get_yaml_from_table(table)),
    }
    return pa.schema(fields, metadata=metadata)


def _votable(table) -> str:
    from astropy.io.votable import from_table

    with warnings.catch_warnings():
        # The dex is not in the VO's list of units; TOPCAT shows it.
        warnings.simplefilter("ignore")
        document = from_table(table)
        (found,) = document.iter_tables()
        found.description = table.meta["description"]
        for field in found.fields:
            field.ucd = table[field.name].meta["ucd"] or None
        document.to_xml(content := io.BytesIO())
    return content.getvalue().decode()


def arrow_table(columns: dict, schema):
    """Return the Arrow table of columns, which `summarise` gave, by the names of a schema."""
    import pyarrow as pa

    arrays = []
    for part in schema:
        values = columns[part.name]
        if part.name == "draws":
            n, n_draws, _ = values.shape
            offsets = pa.array(np.arange(n + 1, dtype=np.int32) * n_draws)
            each = [pa.array(values[:, :, k].ravel()) for k in range(len(PROPERTY_NAMES))]
            lists = [pa.ListArray.from_arrays(offsets, one) for one in each]
            arrays.append(pa.StructArray.from_arrays(lists, fields=list(part.type)))
        else:
            arrays.append(pa.array(values, part.type))
    return pa.table(arrays, schema=schema)


def summarise(
    model: Posterior,
    values: Mapping[str, np.ndarray],
    images: np.ndarray | None,
    each: Callable[[int], None],
    *,
    n_samples: int,
    steps: int,
    seed: int,
    n_draws: int,
) -> dict[str, np.ndarray]:
    """Return the columns of the result for some galaxies.

    Arguments:
        model: Trained model.
        values: `object_id`, on which alone the noise of a galaxy depends, and by their names in a
            survey what the model takes, each `(n,)`.
        images: As `Posterior.encode` takes them.
        each: Function that is called with the number of galaxies that are newly done.
        n_samples, steps, seed: As `Posterior.sample` takes them.
        n_draws: Number of draws that are kept, as `draws (n, n_draws, 5)`.
    """
    import torch

    given = {"magnitudes": np.stack([values[name] for name in MAGNITUDES], 1)}
    if images is not None:
        given["images"] = images
    if model.use_redshift:
        given["redshift"] = values["redshift"]
    if model.use_magnitude_errors:
        given["magnitude_errors"] = np.stack([values[name] for name in MAGNITUDE_ERRORS], 1)
    n, at_once = len(values["object_id"]), 1
    if model.device.type != "cpu":
        at_once = max(1, block_rows(model.device) // n_samples)
    statistics = np.empty((len(KEPT), n, len(PROPERTIES)), np.float32)
    covariance = np.empty((n, len(PAIRS)), np.float32)
    draws = np.empty((n, n_draws, len(PROPERTIES)), np.float32)
    conditions, upper = [], np.array(PAIRS).T
    for start in range(0, n, at_once):
        rows = slice(start, start + at_once)
        conditions.append(model.encode(**{name: x[rows] for name, x in given.items()}))
        names = values["object_id"][rows]
        samples = model.sample_from(conditions[-1], names, n_samples, steps, seed).numpy()
        for row, theta in enumerate(samples.astype(np.float64), start):
            found = statistics_of(theta)
            statistics[:, row] = [found[name] for name in KEPT]
            covariance[row] = np.cov(theta, rowvar=False)[*upper]
        draws[rows] = samples[:, :n_draws]
        each(len(samples))
    columns = {"draws": draws} | dict(zip(COVARIANCES, covariance.T, strict=True))
    for k, name in enumerate(PROPERTY_NAMES):
        for statistic, column in zip(KEPT, statistics, strict=True):
            columns[f"{name}_{statistic}"] = column[:, k]
    flags = model.out_of_range_from(torch.cat(conditions))
    return columns | {name: flag.to_numpy() for name, flag in flags.items()}
