"""A catalogue of posteriors: a row a galaxy, with units, UCDs and descriptions, for other programs.

`summarise` makes it of what `Posterior.infer` gives, `save_summaries` writes it as FITS, Parquet,
ECSV or VOTable. Draws themselves are kept by `to_netcdf`, which ArviZ reads.
"""

import warnings
from itertools import combinations
from pathlib import Path

import numpy as np

from galcfm.paths import replacing
from galcfm.posterior.inputs import ModelError
from galcfm.properties import BANDS, MAGNITUDES, PROPERTIES, PROPERTY_NAMES, Property
from galcfm.survey import Survey

__all__ = ["SUMMARY_FORMATS", "column_of", "save_summaries", "summarise"]

SUMMARY_FORMATS = {
    ".fits": "fits",
    ".parquet": "parquet.votable",
    ".ecsv": "ascii.ecsv",
    ".vot": "votable",
}
# Unified content descriptors: the IVOA's controlled vocabulary, version 1.5.
UCDS = {
    "log_stellar_mass": "phys.mass",
    "log_sfr": "phys.SFR",
    "oxygen_abundance": "phys.abund",
    "dn4000": "spect.index",
    "a_v": "phys.absorption;em.opt.V",
}
STATISTICS = ("mean", "median", "p16", "p84", "std")


def summarise(posteriors, survey: Survey | None = None):
    """Mean, median, 16th and 84th percentile, standard deviation and correlations of each galaxy.

    The covariance of two properties is their correlation times both standard deviations.

    Arguments:
        posteriors: the `xarray.Dataset` of `Posterior.infer`, or read by `load_posteriors`.
        survey: the same galaxies, whose positions, redshifts and magnitudes then stand beside.

    Returns:
        `astropy.table.Table` with `object_id`; `PROPERTY_mean`, `_median`, `_p16`, `_p84`, `_std`
        and `corr_PROPERTY_PROPERTY`; and, where the posteriors know them, `photometry_p` and
        `image_p`, the share of held-out galaxies that are at least as unusual, and `outside_range`,
        true where the model extrapolates. Each column has a description and a UCD
        (`column.meta["ucd"]`), those with a unit their unit; logarithms are in dex.

    Raises:
        ModelError: posteriors and survey hold different galaxies, or another order.
    """
    from astropy.table import Column, Table

    told = {key: str(posteriors.attrs.get(key, "")) for key in ("survey", "seed", "steps")}
    table = Table(meta={"CREATOR": "galcfm"} | {key.upper(): told[key] for key in told})

    def add(name, values, description, ucd, unit=None):
        column = Column(values, name, unit=unit, description=description, meta={"ucd": ucd})
        table.add_column(column)

    object_id = posteriors["object_id"].to_numpy().astype(str)
    add("object_id", object_id, "identifier of the galaxy", "meta.id;meta.main")
    if survey is not None:
        _add_survey(add, object_id, survey)
    draws = {
        name: posteriors[name].transpose("object_id", ...).to_numpy().reshape(len(object_id), -1)
        for name in PROPERTY_NAMES
    }
    table.meta["N_DRAWS"] = draws[PROPERTY_NAMES[0]].shape[1]
    for known in PROPERTIES:
        _add_property(add, known, draws[known.name].astype(np.float64))
    for one, other in combinations(PROPERTIES, 2):
        x, y = (draws[p.name] - draws[p.name].mean(1, keepdims=True) for p in (one, other))
        norm = np.sqrt((x**2).sum(1) * (y**2).sum(1))
        correlation = np.divide((x * y).sum(1), norm, out=np.full(len(x), np.nan), where=norm > 0)
        add(
            f"corr_{one.name}_{other.name}",
            correlation,
            f"posterior correlation of {one.name} and {other.name}",
            f"stat.correlation;{UCDS[one.name].split(';')[0]};{UCDS[other.name].split(';')[0]}",
        )
    outside = np.zeros(len(object_id), bool)
    parts = [part for part in ("photometry", "image") if f"{part}_p" in posteriors.coords]
    for part in parts:
        share = posteriors[f"{part}_p"].to_numpy()
        text = f"share of held-out training galaxies at least as unusual in {part}"
        add(f"{part}_p", share, text, "stat.probability")
        outside |= posteriors[f"{part}_outside"].to_numpy().astype(bool)
    if parts:
        text = "the model extrapolates: unlike the galaxies that it was trained on"
        add("outside_range", outside, text, "meta.code.qual")
    return table


def _add_survey(add, object_id, survey: Survey) -> None:
    if len(survey) != len(object_id) or (survey.object_id.astype(str) != object_id).any():
        raise ModelError(
            f"{survey.name} and the posteriors hold different galaxies, or the same in another "
            "order: give the survey that was inferred"
        )
    catalogue = survey.catalogue
    for name, text, ucd, unit in (
        ("ra", "right ascension", "pos.eq.ra;meta.main", "deg"),
        ("dec", "declination", "pos.eq.dec;meta.main", "deg"),
        ("redshift", "redshift as given", "src.redshift", None),
    ):
        add(name, catalogue[name].to_numpy(np.float64), text, ucd, unit)
    for band, name in zip(BANDS, MAGNITUDES, strict=True):
        text = f"AB magnitude in {band}, Galactic extinction removed, as given"
        # The vocabulary's bands are Johnson's and Cousins's: i is I there, z has none.
        ucd = "phot.mag;em.opt" + (f".{band.upper()}" if band != "z" else "")
        ucd = ucd.replace(".G", ".B")
        add(name, catalogue[name].to_numpy(np.float64), text, ucd, "mag")


def column_of(known: Property, statistic: str) -> tuple[str | None, str, str]:
    """Unit, description and UCD of a column `PROPERTY_STATISTIC`.

    Arguments:
        known: the property.
        statistic: of `STATISTICS`.
    """
    scale, _, of = known.unit.partition("(")
    # Headers of FITS take ASCII alone.
    meaning = known.description.replace("Å", "Angstrom").replace("ν", "nu")
    meaning += f" (log10 in {of.rstrip(')')})" if of else ""
    words = {"p16": "16th percentile", "p84": "84th percentile", "std": "standard deviation"}
    ucd = UCDS[known.name]
    ucds = {"mean": f"{ucd};stat.mean", "median": f"{ucd};stat.median", "std": f"stat.stdev;{ucd}"}
    return (
        None if scale == "1" else scale,
        f"posterior {words.get(statistic, statistic)}: {meaning}",
        ucds.get(statistic, f"stat.percentile;{ucd}"),
    )


def _add_property(add, known: Property, draws: np.ndarray) -> None:
    """Columns of one property, of its draws `(n, S)`."""
    low, median, high = np.percentile(draws, [16, 50, 84], axis=1)
    values = (draws.mean(1), median, low, high, draws.std(1, ddof=1))
    for statistic, column in zip(STATISTICS, values, strict=True):
        unit, text, ucd = column_of(known, statistic)
        add(f"{known.name}_{statistic}", column, text, ucd, unit)


def save_summaries(table, path: Path | str) -> None:
    """Write the table of `summarise`; its ending says the format: .fits, .parquet, .ecsv or .vot.

    Units, UCDs and descriptions stand where each format has its place for them: in FITS in TUNIT,
    TUCD and TCOMM, as TOPCAT reads them; in Parquet as VOTable metadata. `astropy` knows no dex in
    FITS and says so: `Table.read(path, unit_parse_strict="silent")`.

    Raises:
        ModelError: another ending, of a format that would lose the units.
        OSError: it cannot be written, or a file is there that is none of these.
    """
    path = Path(path)
    form = SUMMARY_FORMATS.get(path.suffix.lower())
    if form is None:
        raise ModelError(
            f"{path}: use the ending {', '.join(SUMMARY_FORMATS)}, whose formats keep units and "
            "descriptions"
        )
    options = {}
    if form == "parquet.votable":
        options["metadata"] = {
            name: {"unit": str(column.unit or ""), "ucd": column.meta.get("ucd", ""), "utype": ""}
            for name, column in table.columns.items()
        }
    with replacing(path, _is_own) as temporary, warnings.catch_warnings():
        # No standard but ours has dex, which is written all the same.
        warnings.filterwarnings("ignore", message=r"(?s).*dex")
        table.write(temporary, format=form, **options)
        if form == "fits":
            _complete_header(temporary, table)


def _complete_header(path: Path, table) -> None:
    """Units, UCDs and descriptions where programs other than astropy look for them."""
    from astropy.io import fits

    with fits.open(path, mode="update") as hdus:
        header = hdus[1].header
        header["EXTNAME"] = "SUMMARIES"
        for k, column in enumerate(table.columns.values(), 1):
            if column.unit is not None:
                header[f"TUNIT{k}"] = str(column.unit)
            header[f"TUCD{k}"] = column.meta["ucd"]
            header[f"TCOMM{k}"] = column.description


def _is_own(path: Path) -> bool:
    """Whether a file holds columns of summaries, and no others, which would be lost."""
    from astropy.table import Table

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names = set(Table.read(path, format=SUMMARY_FORMATS[path.suffix.lower()]).colnames)
    needed = {f"{name}_{statistic}" for name in PROPERTY_NAMES for statistic in STATISTICS}
    needed |= {"object_id", *(f"corr_{a}_{b}" for a, b in combinations(PROPERTY_NAMES, 2))}
    more = {"ra", "dec", "redshift", *MAGNITUDES, "photometry_p", "image_p", "outside_range"}
    return needed <= names <= needed | more
