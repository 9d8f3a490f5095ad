"""Plan of an inference: settings for all partitions, decided once from the first rows."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from galcfm.catalogue import CatalogueError
from galcfm.catalogue.cutouts import CatalogueCutouts, find_cutouts
from galcfm.catalogue.embeddings import find_embeddings
from galcfm.catalogue.sources import Partition, Source, read_partition, stamp_of
from galcfm.catalogue.summaries import result_schema
from galcfm.posterior import Posterior
from galcfm.provenance import array_digest, code_digest, digest
from galcfm.survey import SurveyError
from galcfm.survey.embeddings import Embeddings
from galcfm.survey.intake import (
    check_declared,
    choose_columns,
    labels_of,
    read_columns,
    require_extinction,
)
from galcfm.survey.photometry import check_bands, check_unit
from galcfm.survey.tables import SourceTable

SETTINGS = ("n_samples", "steps", "seed", "n_draws")
# Number of rows with which the unit of a whole source is checked.
ROWS_CHECKED = 1000


@dataclass(frozen=True)
class Plan:
    """Plan of an inference, the same for all partitions.

    Arguments:
        model: Trained model.
        destination: Folder of the result.
        identity: Everything that the result depends on, as JSON content: `columns`, a dictionary
            from names in a survey to columns of the source; `unit` and `dereddened`, as in
            `Survey.from_table`; `SETTINGS`, as in `Posterior.sample`; and digests.
        cutouts: Location of the cutouts, or `None`.
        is_survey: Whether the source is a survey of galcfm. Its galaxies may lack a position, and
            its infinite errors mark limits.
        schema: Arrow schema of the result.
        embeddings: Columns or files of the embeddings that the model needs, by name.
    """

    model: Posterior
    destination: Path
    identity: dict
    cutouts: CatalogueCutouts | None
    is_survey: bool
    schema: object
    embeddings: Mapping[str, Embeddings]

    @cached_property
    def key(self) -> str:
        """Digest of everything that the result depends on."""
        return digest(self.identity)

    @property
    def columns_read(self) -> tuple[str, ...]:
        """Columns to read, including the whole vector for `flux[2]` and errors that mark limits."""
        names = self.identity["columns"].values()
        found = (c for name in names for c in (name, name.split("[")[0]))
        limits = self.model.declaration.magnitude_errors if self.is_survey else ()
        return (*found, *limits, *(e.source for e in self.embeddings.values()))

    def path(self, kind: str, partition: Partition, ending: str) -> Path:
        """Return the path of a file of a partition."""
        return self.destination / kind / f"{partition.name}{ending}"

    def key_of(self, partition: Partition) -> str:
        """Return a digest of everything that the result of a partition depends on."""
        stamps = [stamp_of(partition.file) if partition.file else None]
        stamps += [self.cutouts.stamp] if self.cutouts else []
        places = [each.source for each in self.embeddings.values()]
        stamps += [stamp_of(place) for place in places if isinstance(place, Path)]
        return digest([self.key, partition.start, partition.stop, *stamps])


def make_plan(
    model: Posterior,
    source: Source,
    destination: Path,
    columns: Mapping[str, str | None],
    declared: Mapping,
    cutouts,
    pixel_scale: float | None,
    settings: dict,
) -> Plan:
    """Return the plan for a source after a check of its first rows.

    Arguments:
        model: Trained model.
        source: Source of the galaxies.
        destination: Folder of the result.
        columns, cutouts, pixel_scale: Declarations as in `infer_catalogue`.
        declared: Values of `unit`, `total`, `dereddened` and `embeddings`, `None` if not declared.
        settings: Values of `SETTINGS`.

    Raises:
        CatalogueError: Model, source, cutouts and embeddings do not fit, or nothing can be read.
        SurveyError: A column is missing, or another unit is more likely than the declared unit.
    """
    declared = {name: value for name, value in declared.items() if value is not None}
    used = model.declaration
    if source.is_survey:
        declared = {"unit": "AB", "total": True, "dereddened": True} | declared
    unit, total, dereddened = (declared.get(name) for name in ("unit", "total", "dereddened"))
    if not model.uses_images and cutouts is not None:
        raise CatalogueError("this is a photometry model: leave cutouts out, or use an image model")
    unit, pixel_scale = check_declared(unit, total, dereddened, columns, cutouts, pixel_scale)
    check_bands(used.bands, unit, dereddened)
    if model.uses_images:
        cutouts = find_cutouts(cutouts, pixel_scale, source, used.cutouts)
    table = _first_rows(source, cutouts.column if cutouts else None)
    columns = _choose(table, source.columns | dict(columns), unit, dereddened, model)
    values, _ = read_columns(table, columns, unit, model.missing_bands, (), used)
    given, ids = declared.get("embeddings", {}), values["object_id"]
    embeddings = find_embeddings(given, used.embeddings, source, table, ids)
    first = {name: values[name][:ROWS_CHECKED] for name in used.magnitudes}
    check_unit(first, unit, source.name, used)
    carried = [name for name in ("ra", "dec", "redshift") if name in columns]
    ranges = [array_digest(x) for known in model.ranges.values() for x in vars(known).values()]
    identity = {
        "model": digest([model.architecture, model.weights_digest, ranges]),
        "source": source.identity,
        "columns": columns,
        "unit": unit,
        "dereddened": dereddened,
        "cutouts": cutouts and [cutouts.kind, cutouts.place, cutouts.pixel_scale, *cutouts.fluxes],
        "embeddings": {n: [str(e.source), e.column, e.model] for n, e in embeddings.items()},
        "code": code_digest("galcfm.catalogue.partitions"),
        **settings,
    }
    schema = result_schema(model, carried, settings)
    return Plan(model, destination, identity, cutouts, source.is_survey, schema, embeddings)


def _first_rows(source: Source, cutouts: str | None) -> SourceTable:
    """Return the first rows of the first partition that has any and can be read."""
    reasons = []
    for partition in source.partitions:
        # The first rows must not depend on the sizes of the partitions of a file.
        stop = partition.stop and partition.start + ROWS_CHECKED
        try:
            table, cells = read_partition(replace(partition, stop=stop), None, cutouts)
        except SurveyError as error:
            reasons.append(f"no partition of {source.name} can be read: {error}")
            continue
        if cutouts is not None and cells is None:
            raise CatalogueError(
                f"{table.name} has no column {cutouts!r}, and no folder of cutouts has this name: "
                f"correct it; the table has {', '.join(map(str, table.names[:20]))}"
            )
        if len(table):
            return table
    raise CatalogueError(reasons[0] if reasons else f"{source.name} has no rows: give other files")


def _choose(table: SourceTable, columns, unit, dereddened: bool, model) -> dict[str, str]:
    """Return a dictionary from names in a survey to columns of a table, with all model inputs.

    Raises:
        SurveyError: A column is missing.
    """
    used = model.declaration
    unused = [*labels_of(used), "split", *["ebv"] * dereddened]
    unused += ["redshift"] * (not model.use_redshift)
    if not model.use_magnitude_errors:
        unused += [*used.magnitude_errors, *used.inverse_variances]
    wanted = dict.fromkeys(unused) | columns
    chosen = choose_columns(table, wanted, unit, model.missing_bands, used)
    require_extinction(chosen, dereddened, table.name)
    needed = ["redshift"] * model.use_redshift
    if model.use_magnitude_errors:
        names = zip(used.magnitudes, used.magnitude_errors, used.inverse_variances, strict=True)
        needed += [
            error for name, error, variance in names if name in chosen and variance not in chosen
        ]
    if missing := [name for name in needed if name not in chosen]:
        raise SurveyError(
            f"{table.name} has no {', '.join(missing)}, with which this model was trained: map it, "
            f"or use another model; the table has {', '.join(map(str, table.names[:20]))}"
        )
    return chosen
