"""A catalogue of posteriors: one row per galaxy, with units, UCDs and descriptions.

`summarise` makes it from the result of `Posterior.infer`; `save_summaries` writes it as FITS,
Parquet, ECSV or VOTable. `to_netcdf` keeps the draws themselves, which ArviZ reads.
"""

import io
from collections import defaultdict
from itertools import combinations
from pathlib import Path

import numpy as np
import yaml

from galcfm.paths import replacing, user_path
from galcfm.posterior.inputs import ModelError
from galcfm.properties import Declaration, Property
from galcfm.survey import Survey

SUMMARY_FORMATS = {
    ".fits": "fits",
    ".parquet": "parquet.votable",
    ".ecsv": "ascii.ecsv",
    ".vot": "votable",
}
COLUMNS = yaml.safe_load(Path(__file__).with_name("columns.yaml").read_text(encoding="utf-8"))
GIVEN, STATISTICS = COLUMNS["given"], COLUMNS["statistics"]
RANGE, MAGNITUDE = COLUMNS["range"], COLUMNS["magnitude"]
UCDS = defaultdict(lambda: COLUMNS["other"], COLUMNS["properties"])
PARTS = ("photometry", "image", "embedding", "quiescent")  # tests against the training galaxies


def statistics_of(draws: np.ndarray) -> dict[str, np.ndarray]:
    """Return the `STATISTICS` of draws `(..., S, d)` by name, each of shape `(..., d)`."""
    p16, median, p84 = np.quantile(draws, (0.16, 0.5, 0.84), axis=-2)
    mean, std = draws.mean(axis=-2), draws.std(axis=-2, ddof=1)
    return {"mean": mean, "median": median, "p16": p16, "p84": p84, "std": std}


def column_of(known: Property, statistic: str) -> tuple[str | None, str, str]:
    """Return unit, description and UCD of a column `PROPERTY_STATISTIC`.

    Arguments:
        known: The property.
        statistic: One of `STATISTICS`.
    """
    scale, _, of = known.unit.partition("(")
    # Headers of FITS accept only ASCII, in one line.
    meaning = known.description.replace("Å", "Angstrom").replace("ν", "nu")
    meaning = ascii(" ".join(meaning.split()))[1:-1]
    if scale == "dex":
        meaning += f" (dex, log10 in {of.rstrip(')')})" if of else " (dex)"
    words, ucd = STATISTICS[statistic]
    # No standard of units contains the dex.
    unit = None if scale in ("1", "dex") else scale
    return unit, f"posterior {words}: {meaning}", ucd.format(UCDS[known.name])


def given_columns(declaration: Declaration) -> dict[str, list]:
    """Return unit, description and UCD of the columns of a survey that summaries repeat."""
    places = ("ra", "dec", "redshift")
    found = {name: GIVEN[name] for name in places}
    for band, name in zip(declaration.bands, declaration.magnitudes, strict=True):
        unit, described, ucd = MAGNITUDE
        found[name] = GIVEN.get(name, [unit, described.format(band), ucd])
    return found


def summarise(posteriors, survey: Survey | None = None):
    """Return mean, median, 16th and 84th percentile, standard deviation and correlations.

    The covariance of two properties is their correlation times both standard deviations.

    Arguments:
        posteriors: The `xarray.Dataset` of `Posterior.infer`, or read by `load_posteriors`.
        survey: The same galaxies; their positions, redshifts and magnitudes are added as columns.

    Returns:
        `astropy.table.Table` with `object_id`; `PROPERTY_mean`, `_median`, `_p16`, `_p84`, `_std`
        and `corr_PROPERTY_PROPERTY`; and, if the posteriors have them, `photometry_p`, `image_p`
        and `quiescent_p`, the share of held-out galaxies that are at least as unusual or look at
        least as quiescent, and `outside_range`, true where the model extrapolates. Each column has
        a description and a UCD (`column.meta["ucd"]`), and its unit if it has one. Logarithms have
        no unit; their descriptions say dex.

    Raises:
        ModelError: Posteriors and survey contain different galaxies, or another order, or two
            columns would have the same name.
        DeclarationError: The posteriors lack a property that they declare.
    """
    from astropy.table import Column, Table

    from galcfm.posterior.draws import draws_of

    draws = draws_of(posteriors, survey).astype(np.float64)
    properties = Declaration.of_posteriors(posteriors).properties
    told = {key.upper(): str(posteriors.attrs.get(key, "")) for key in ("survey", "seed", "steps")}
    table = Table(meta={"CREATOR": "galcfm"} | told | {"N_DRAWS": draws.shape[1]})

    def add(name, values, unit, description, ucd):
        if name in table.colnames:
            raise ModelError(f"two columns would be called {name}: rename a property or band")
        table[name] = Column(values, unit=unit, description=description, meta={"ucd": ucd})

    object_id = posteriors["object_id"].to_numpy().astype(str)
    add("object_id", object_id, None, "identifier of the galaxy", "meta.id;meta.main")
    given = {} if survey is None else given_columns(survey.declaration)
    for name, described in given.items():
        add(name, survey.catalogue[name].to_numpy(np.float64), *described)
    statistics = statistics_of(draws)
    for k, known in enumerate(properties):
        for statistic, values in statistics.items():
            add(f"{known.name}_{statistic}", values[:, k], *column_of(known, statistic))
    with np.errstate(invalid="ignore"):
        each = [np.corrcoef(of_one, rowvar=False) for of_one in draws]
    # This shape is right for a table without galaxies, too.
    correlations = np.reshape(each, (len(draws), len(properties), len(properties)))
    for i, j in combinations(range(len(properties)), 2):
        one, other = properties[i].name, properties[j].name
        text = f"posterior correlation of {one} and {other}"
        ucd = ";".join(["stat.correlation", *(UCDS[name].split(";")[0] for name in (one, other))])
        add(f"corr_{one}_{other}", correlations[:, i, j], None, text, ucd)
    parts = [part for part in PARTS if f"{part}_p" in posteriors.coords]
    for part in parts:
        add(f"{part}_p", posteriors[f"{part}_p"].to_numpy(), *RANGE[f"{part}_p"])
    if parts:
        outside = np.any([posteriors[f"{part}_outside"] for part in parts], axis=0)
        add("outside_range", outside, *RANGE["outside_range"])
    return table


def save_summaries(table, path: Path | str) -> None:
    """Write the table of `summarise` as .fits, .parquet, .ecsv or .vot, depending on the ending.

    Units, UCDs and descriptions are stored as each format defines: in FITS in TUNIT, TUCD and
    TCOMM, as TOPCAT reads them; in Parquet as VOTable metadata. FITS stores only ASCII text.

    Raises:
        ModelError: The ending is another one, of a format that would lose the units, or an
            identifier is not ASCII and the format is FITS.
        OSError: The file cannot be written, or it exists and is not a table of summaries.
    """
    from astropy.io.votable import from_table
    from astropy.table import Table

    path = user_path(path)
    form = SUMMARY_FORMATS.get(path.suffix.lower())
    if form is None:
        raise ModelError(
            f"{path}: use the ending {', '.join(SUMMARY_FORMATS)}, for formats that keep units "
            "and descriptions"
        )
    if form == "fits":
        for row, name in enumerate(map(str, table["object_id"])):
            if not (name.isascii() and name.isprintable()):
                others = ", ".join(ending for ending in SUMMARY_FORMATS if ending != ".fits")
                raise ModelError(
                    f"row {row}: FITS stores only ASCII text, and object_id is {name!r}: use the "
                    f"ending {others}"
                )
        # Only the name of the survey may contain other characters.
        table = table.copy()
        table.meta = {key: ascii(value).strip("'") for key, value in table.meta.items()}

    def is_own(there: Path) -> bool:
        """Return whether a file has only these columns, so that no other column would be lost."""
        quiet = {"unit_parse_strict": "silent"} if form == "fits" else {}
        both = Table.read(there, format=form, **quiet), table
        said = {n: " ".join(str(c.description).split()) for t in both for n, c in t.columns.items()}
        return all(
            name in {*GIVEN, *RANGE} or said[name] == MAGNITUDE[1].format(name[len("mag_") :])
            for name in set(both[0].colnames) ^ set(table.colnames)
        )

    # The Python code of astropy writes VOTables. Its C code writes one byte past the end of its
    # memory if the text of a row has 256, 512, … bytes, and the process may end much later
    # (github.com/astropy/astropy/issues/20419). Binary VOTables cut identifiers whose characters
    # are beyond the first 65,536 of Unicode.
    with replacing(path, is_own) as temporary:
        if form == "parquet.votable":
            _write_parquet(temporary, table)
        elif form == "votable":
            from_table(table).to_xml(str(temporary), _debug_python_based_parser=True)
        elif form == "fits":
            table.write(temporary, format=form, name="SUMMARIES")
            _complete_header(temporary, table)
        else:
            table.write(temporary, format=form)


def _write_parquet(path: Path, table) -> None:
    """Write Parquet with a VOTable without rows as metadata, the convention VOParquet.

    astropy's own writer needs a row, which its C code writes: see `save_summaries`.
    """
    import pyarrow
    from pyarrow import parquet

    table[:0].write(content := io.BytesIO(), format="votable")
    metadata = {
        "IVOA.VOTable-Parquet.version": "1.0",
        "IVOA.VOTable-Parquet.content": content.getvalue().decode(),
        # How long identifiers are, which astropy needs for an empty table.
        "table::len::object_id": str(max(map(len, table["object_id"]), default=1)),
    }
    columns = pyarrow.table({name: np.asarray(table[name]) for name in table.colnames})
    parquet.write_table(columns.replace_schema_metadata(metadata), path)


def _complete_header(path: Path, table) -> None:
    """Write UCDs and descriptions for programs other than astropy."""
    from astropy.io import fits

    with fits.open(path, mode="update") as hdus:
        header = hdus[1].header
        for k, column in enumerate(table.columns.values(), 1):
            header[f"TUCD{k}"] = column.meta["ucd"]
            header[f"TCOMM{k}"] = column.description
