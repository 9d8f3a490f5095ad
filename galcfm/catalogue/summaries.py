"""Summaries of each galaxy's posterior, and the schema of the result.

Each galaxy is drawn and summarised in its own computation, with shapes that depend only on the
settings, because the last bits of a matrix product depend on its shape. On processors of one kind,
a row is therefore identical to the bit for all partitions; a GPU, which processes many galaxies at
a time, agrees to rounding.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations_with_replacement

import numpy as np

from galcfm.flow import block_rows
from galcfm.posterior import ModelError, Posterior
from galcfm.posterior.summaries import GIVEN, RANGE, column_of, statistics_of
from galcfm.properties import Declaration, Property

KEPT = ("mean", "median", "p16", "p84")
# Metadata that gives astropy the length of the longest identifier.
LENGTH = "table::len::object_id"
EMBEDDING = "embedding_{}"  # name of an embedding among the inputs


def result_columns(model: Posterior, carried: Sequence[str]):
    """Return an empty astropy `Table` with the columns of the result, without draws.

    Arguments:
        model: Trained model.
        carried: Columns of the source that are kept, a subset of `ra`, `dec` and `redshift`.

    Raises:
        ModelError: Two columns would have the same name.
    """
    from astropy.table import Column, Table

    table = Table()

    def add(name, kind, unit, description, ucd):
        if name in table.colnames:
            raise ModelError(f"two columns would be called {name}: rename a property of the model")
        options = {"unit": unit, "description": description, "meta": {"ucd": ucd}}
        table[name] = Column(np.empty(0, kind), **options)

    add("object_id", "U64", None, "identifier in the source", "meta.id;meta.main")
    for name in carried:
        add(name, "f8", *GIVEN[name])
    for p in model.declaration.properties:
        for statistic in KEPT:
            add(f"{p.name}_{statistic}", "f4", *column_of(p, statistic))
    for name, *pair in covariances(model.declaration):
        one, other = (p.name for p in pair)
        unit = _product(*(table[f"{p.name}_mean"].unit for p in pair))
        word, of = ("variance", one) if one == other else ("covariance", f"{one} and {other}")
        scales = [p.unit.split("(")[0] for p in pair]
        text = f"posterior {word} of {of} ({' '.join(scales)})"
        add(name, "f4", unit, text, f"stat.{word}")
    for part in model.ranges:
        add(f"{part}_p", "f4", *RANGE[f"{part}_p"])
        add(f"{part}_outside", "?", *RANGE[f"{part}_outside"])
    if model.ranges:
        add("outside_range", "?", *RANGE["outside_range"])
    return table


def covariances(declaration: Declaration) -> list[tuple[str, Property, Property]]:
    """Return name and properties of each column of a variance or covariance."""
    pairs = combinations_with_replacement(declaration.properties, 2)
    return [(f"cov_{a.name}_{b.name}", a, b) for a, b in pairs]


def _product(one, other):
    """Return the product of two units, of which astropy may know neither; None is a pure number."""
    from astropy.units import UnrecognizedUnit

    if not (one and other):
        return one or other
    known = not any(isinstance(unit, UnrecognizedUnit) for unit in (one, other))
    return one * other if known else f"{one} {other}"


def result_schema(model: Posterior, carried: Sequence[str], settings: dict):
    """Return the Arrow schema of the result, with units and descriptions for TOPCAT and astropy.

    Units and descriptions are written twice: as a VOTable without rows (the convention VOParquet,
    which TOPCAT reads) and as the YAML of astropy. Neither supports nested columns such as the
    draws.

    Arguments:
        model, carried: Model and columns as in `result_columns`.
        settings: Values of `n_samples`, `steps`, `seed` and `n_draws`.
    """
    import pyarrow as pa
    from astropy.table.meta import get_yaml_from_table

    jumps = model.flow.jumps
    made = f"{jumps} jumps of a student" if jumps else f"{settings['steps']} Runge-Kutta steps"
    table = result_columns(model, carried)
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
        kind = pa.struct(
            [(name, pa.list_(pa.float32())) for name in model.declaration.property_names]
        )
        text = f"the first {settings['n_draws']} posterior draws"
        fields.append(pa.field("draws", kind, metadata={"unit": "", "description": text}))
    table.write(content := io.BytesIO(), format="votable")
    metadata = {
        "IVOA.VOTable-Parquet.version": "1.0",
        "IVOA.VOTable-Parquet.content": content.getvalue().decode(),
        "table_meta_yaml": "\n".join(get_yaml_from_table(table)),
        LENGTH: "1",
    }
    return pa.schema(fields, metadata=metadata)


def arrow_table(columns: dict, schema):
    """Return the columns that `summarise` returned as an Arrow table with this schema."""
    import pyarrow as pa

    def array(field):
        values = columns[field.name]
        if field.name == "draws":
            names = [each.name for each in field.type]
            values = [dict(zip(names, of_one.T, strict=True)) for of_one in values]
        return pa.array(values, field.type)

    return pa.table([array(field) for field in schema], schema=schema)


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
        values: `object_id`, which seeds the random draws of a galaxy, and the model inputs by their
            names in a survey, each `(n,)`; embeddings are `(n, length)`.
        images: Images as in `Posterior.encode`.
        each: Function that is called with the number of newly finished galaxies.
        n_samples, steps, seed: Settings of the draws as in `Posterior.sample`.
        n_draws: Number of draws that are kept, as `draws (n, n_draws, 5)`.
    """
    import torch

    declared = model.declaration
    given = {"magnitudes": np.stack([values[name] for name in declared.magnitudes], 1)}
    if images is not None:
        given["images"] = images
    if model.use_redshift:
        given["redshift"] = values["redshift"]
    if model.use_magnitude_errors:
        given["magnitude_errors"] = np.stack(
            [values[name] for name in declared.magnitude_errors], 1
        )
    n, at_once = len(values["object_id"]), 1
    if model.device.type != "cpu":
        at_once = max(1, block_rows(model.device) // n_samples)
    conditions, summaries, draws = [], [], []
    upper = np.triu_indices(len(declared.properties))
    for start in range(0, n, at_once):
        rows = slice(start, start + at_once)
        embeddings = {e.name: values[EMBEDDING.format(e.name)][rows] for e in declared.embeddings}
        inputs = {name: x[rows] for name, x in given.items()}
        conditions.append(model.encode(**inputs, embeddings=embeddings))
        names = values["object_id"][rows]
        samples = model.sample_from(conditions[-1], names, n_samples, steps, seed).numpy()
        for theta in samples.astype(np.float64):
            statistics = statistics_of(theta)
            covariance = np.atleast_2d(np.cov(theta, rowvar=False))[upper]
            summaries.append([*(x for name in KEPT for x in statistics[name]), *covariance])
        draws.append(samples[:, :n_draws])
        each(len(samples))
    names = [f"{name}_{statistic}" for statistic in KEPT for name in declared.property_names]
    names += [name for name, *_ in covariances(declared)]
    columns = dict(zip(names, np.array(summaries, np.float32).T, strict=True))
    columns["draws"] = np.concatenate(draws)
    flags = model.out_of_range_from(torch.cat(conditions))
    return columns | {name: flag.to_numpy() for name, flag in flags.items()}
