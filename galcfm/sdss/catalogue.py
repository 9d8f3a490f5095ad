"""The SDSS catalogue: the paper's galaxies, queried by SQL from the Catalog Archive Server.

The server makes and counts the cuts in `SQL_CUTS`, plate by plate; `select_galaxies` makes the
later cuts. The source of each constant is given next to it.
"""

import hashlib
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from galcfm.json_files import Count, JsonFile, object_of
from galcfm.paths import damage_in_a_sentence, no_bar, replacing, user_path
from galcfm.properties import AB_OFFSET, BANDS, EXTINCTION, PROPERTIES
from galcfm.survey import assign_split

__all__ = [
    "LINE_ERROR_FACTOR",
    "SQL_CUTS",
    "CatalogueError",
    "balmer_attenuation",
    "fetch_catalogue",
    "is_star_forming",
    "select_galaxies",
]

SKYSERVER = "https://skyserver.sdss.org"
DATA_RELEASE = 17
PAPER_GALAXIES = 106_800
# SQL Search allows 600 s and 500,000 rows per query, truncates longer answers silently, and 60
# queries per minute (http://skyserver.sdss3.org/dr8/en/help/docs/limits.asp).
PLATES = (266, 2974)
PLATES_A_QUERY = 100
SECONDS_BETWEEN_QUERIES = 1.1
TIMEOUT = 660

# Names and meaning of the columns: https://skyserver.sdss.org/dr17/en/help/browser/browser.aspx;
# columns of the MPA-JHU tables were checked against schema/sql/galSpecTables.sql of
# https://github.com/sciserver/sqlloader, from which the archive is built.
# Target bits TARGET_GALAXY, _BIG and _BRIGHT_CORE (64, 128, 256) define the Main Galaxy
# Sample (Strauss et al. 2002, AJ 124, 1810); the redshift limits are from Kauffmann et al. (2003,
# MNRAS 346, 1055), section 2.
SQL_CUTS = (
    ("spectra with MPA-JHU measurements", "1 = 1"),
    ("Main Galaxy Sample target", "(s.legacy_target1 & 448) > 0"),
    ("best spectrum of its position", "s.sciencePrimary = 1"),
    ("redshift without warning", "s.zWarning = 0"),
    ("measurements reliable", "f.reliable = 1"),
    ("petroMag_r - extinction_r < 17.77", "p.petroMag_r - p.extinction_r < 17.77"),
    ("0.02 < z < 0.3", "s.z > 0.02 AND s.z < 0.3"),
)
Piece = object_of(counts=tuple[(Count,) * len(SQL_CUTS)], sql=str)
PIECE = JsonFile("plates-*.json", Piece, "Delete it: the next call fetches it again.")
LINES = ("h_alpha", "h_beta", "oiii_5007", "nii_6584")
COLUMNS = {
    "objID": "p.objID",
    "ra": "p.ra",
    "dec": "p.dec",
    "z": "s.z",
    "sn_median": "f.sn_median",
    "ebv": "f.e_bv_sfd",
    "bptclass": "e.bptclass",
    # Corrected for emission lines, as [Ne III] 3869 lies in the blue window.
    "d4000_n_sub": "i.d4000_n_sub",
    "d4000_n_sub_err": "i.d4000_n_sub_err",
    # Optical depth of the stars in V, A_V / 1.086, of the best fit of four metallicities.
    "tauv_cont": "i.tauv_cont",
}
COLUMNS |= {f"modelFlux_{band}": f"p.modelFlux_{band}" for band in BANDS}
COLUMNS |= {f"modelFluxIvar_{band}": f"p.modelFluxIvar_{band}" for band in BANDS}
COLUMNS |= {
    f"{name}_p{percentile}": f"e.{name}_p{percentile}"
    for name in ("lgm_tot", "sfr_tot", "oh")
    for percentile in (16, 50, 84)
}
COLUMNS |= {f"{line}_{what}": f"l.{line}_{what}" for line in LINES for what in ("flux", "flux_err")}
TABLES = """
FROM SpecObjAll AS s
JOIN PhotoObjAll AS p ON p.objID = s.bestObjID
JOIN galSpecInfo AS f ON f.specObjID = s.specObjID
JOIN galSpecIndx AS i ON i.specObjID = s.specObjID
JOIN galSpecLine AS l ON l.specObjID = s.specObjID
JOIN galSpecExtra AS e ON e.specObjID = s.specObjID
WHERE s.plate BETWEEN {first} AND {last}
"""

# Factors for the errors of line fluxes, from repeat observations:
# https://wwwmpa.mpa-garching.mpg.de/SDSS/DR7/raw_data.html.
LINE_ERROR_FACTOR = {"h_alpha": 2.473, "h_beta": 1.882, "oiii_5007": 1.566, "nii_6584": 2.039}
# Brinchmann et al. (2004, MNRAS 351, 1151), section 2.
LINE_SIGNAL_TO_NOISE = 3.0
# A_V = 2.5 log10(e) tau.
MAGNITUDES_PER_TAU = 1.086
# Case B, 10^4 K, 100 cm^-3: Osterbrock & Ferland (2006), table 4.4.
CASE_B = 2.86


class CatalogueError(RuntimeError):
    """A catalogue cannot be fetched; pieces that are complete are kept."""


def queries(first: int, last: int) -> tuple[str, str]:
    """Return SQL for the plates `first` to `last`: the counts after each cut, and the galaxies."""
    tables = TABLES.format(first=first, last=last)
    counts, so_far = [], []
    for k, (_, condition) in enumerate(SQL_CUTS):
        so_far.append(f"({condition})")
        counts.append(f"SUM(CASE WHEN {' AND '.join(so_far)} THEN 1 ELSE 0 END) AS n_{k}")
    columns = ",\n".join(f"{column} AS {name}" for name, column in COLUMNS.items())
    return (
        "SELECT " + ",\n".join(counts) + tables,
        f"SELECT {columns}{tables}AND " + "\nAND ".join(so_far),
    )


def fetch_catalogue(
    folder: Path | str,
    *,
    plates: tuple[int, int] = PLATES,
    server: str = SKYSERVER,
    attempts: int = 5,
    progress: bool = True,
) -> tuple[pd.DataFrame, list[int]]:
    """Fetch the galaxies that pass `SQL_CUTS`, in pieces of 100 plates.

    Each piece is kept in `folder` once it has as many rows as the server counted, so that a call
    after an interruption fetches only missing pieces.

    Arguments:
        folder: Folder of the pieces.
        plates: First and last plate; the default includes the whole sample.
        server: Address of a SkyServer.
        attempts: Number of attempts per query, with growing waits.
        progress: Whether to show a progress bar.

    Returns:
        One row per spectrum with the names of `COLUMNS`, and the counts after each cut of
        `SQL_CUTS`.

    Raises:
        CatalogueError: The server cannot be reached, returns no table, or truncates answers.
        OSError: The disk is full.
    """
    if plates[0] > plates[1]:
        raise CatalogueError(f"there are no plates from {plates[0]} to {plates[1]}")
    pieces, counts = [], []
    starts = range(plates[0], plates[1] + 1, PLATES_A_QUERY)
    for first in tqdm(starts, desc="catalogue", unit="piece", disable=no_bar(progress)):
        last = min(first + PLATES_A_QUERY - 1, plates[1])
        sql = queries(first, last)
        # Pieces of another query have another name.
        key = hashlib.sha256("".join(sql).encode()).hexdigest()[:12]
        path = user_path(folder) / f"plates-{first:04d}-{last:04d}-{key}.parquet"
        done = path.with_suffix(".json")
        # A piece without a spectrum is fetched again: this is fast, and overloaded servers may
        # return empty answers.
        if not done.exists() or not PIECE.read(done, CatalogueError)["counts"][0]:
            names = [f"n_{k}" for k in range(len(SQL_CUTS))]
            answer = _ask(sql[0], names, server, attempts, one_row=True)
            # The sum over no spectra is null.
            n = answer.apply(pd.to_numeric, errors="coerce").sum().astype(int).tolist()
            rows = _ask(sql[1], list(COLUMNS), server, attempts)
            if len(rows) != n[-1]:
                raise CatalogueError(
                    f"plates {first} to {last}: {len(rows)} galaxies came but the server counts "
                    f"{n[-1]}: the answer was cut off; run again, pieces in {folder} are kept"
                )
            with replacing(path) as temporary:
                rows.to_parquet(temporary, index=False)
            PIECE.write(done, {"counts": n, "sql": sql[1]})
        with damage_in_a_sentence(path, PIECE.remedy, CatalogueError):
            pieces.append(pd.read_parquet(path))
        counts.append(PIECE.read(done, CatalogueError)["counts"])
    rows = pd.concat([piece for piece in pieces if len(piece)] or pieces[:1], ignore_index=True)
    return rows, np.sum(counts, axis=0).tolist()


def _ask(
    sql: str, columns: list[str], server: str, attempts: int, *, one_row: bool = False
) -> pd.DataFrame:
    """Return the answer to one query, with the columns, or the one row, that it must have."""
    from astroquery.sdss import SDSS, conf

    reason = ""
    for attempt in range(attempts):
        time.sleep(SECONDS_BETWEEN_QUERIES * 2**attempt)
        try:
            with conf.set_temp("skyserver_baseurl", server), warnings.catch_warnings():
                # astropy on columns without a value, and requests on addresses without https.
                warnings.simplefilter("ignore")
                table = SDSS.query_sql(sql, timeout=TIMEOUT, data_release=DATA_RELEASE, cache=False)
        # Networks, servers and parsers raise dozens of kinds of errors.
        except Exception as error:
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            continue
        # An answer without a table has no columns, independent of its status.
        if one_row and (table is None or len(table) != 1):
            reason = f"the answer has {0 if table is None else len(table)} rows, not one"
            continue
        if table is None:
            return pd.DataFrame(columns=columns, dtype=float)
        # SQL servers differ in the case of names.
        names = {name.lower(): name for name in table.colnames}
        if all(name.lower() in names for name in columns):
            frame = table.to_pandas()
            return frame[[names[name.lower()] for name in columns]].set_axis(columns, axis=1)
        reason = f"the answer is no table of galaxies but begins with {table.colnames[:1]}"
    raise CatalogueError(
        f"{server} gives no answer to the catalogue query ({reason}): check the "
        "network, or wait; pieces that are there are kept, and running again continues"
    )


def is_star_forming(rows: pd.DataFrame) -> np.ndarray:
    """Return whether rows lie below the line of Kauffmann et al. (2003, MNRAS 346, 1055), eq. 1."""
    with np.errstate(divide="ignore", invalid="ignore"):
        x = np.log10((rows["nii_6584_flux"] / rows["h_alpha_flux"]).to_numpy(dtype=float))
        y = np.log10((rows["oiii_5007_flux"] / rows["h_beta_flux"]).to_numpy(dtype=float))
        # The line has no meaning to the right of its asymptote.
        return (x < 0.05) & (y < 0.61 / (x - 0.05) + 1.3)


def balmer_attenuation(h_alpha, h_beta) -> np.ndarray:
    """Return the attenuation in V of the emission lines from the Balmer decrement [mag].

    Case B and the Milky Way's extinction curve of O'Donnell (1994, ApJ 422, 158), R_V = 3.1, from
    the package dust_extinction. Noise may make it negative.
    """
    from astropy import units as u
    from dust_extinction.parameter_averages import O94

    # In vacuum, Angstrom.
    k_alpha, k_beta = O94(Rv=3.1)([6564.61, 4862.68] * u.AA)
    ratio = np.asarray(h_alpha, dtype=float) / np.asarray(h_beta, dtype=float)
    return 2.5 * np.log10(ratio / CASE_B) / (k_beta - k_alpha)


def select_galaxies(
    rows: pd.DataFrame, counts: list[int], *, validation: float = 0.1, test: float = 0.1
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the survey's catalogue from the rows of `fetch_catalogue`, and counts of each cut.

    Arguments:
        rows: Rows from `fetch_catalogue`.
        counts: The server's counts from `fetch_catalogue`.
        validation: Fraction of galaxies in the validation split.
        test: Fraction of galaxies in the test split.

    Returns:
        The catalogue, with the columns of a survey, and a table of the cuts: `cut`, `galaxies`
        and, in its last row, the paper's number.
    """
    steps = list(zip((name for name, _ in SQL_CUTS), counts, strict=True))

    def keep(name, mask):
        nonlocal rows
        rows = rows[np.asarray(mask)]
        steps.append((name, len(rows)))

    rows = rows.sort_values("sn_median", ascending=False, kind="stable")
    keep("one spectrum a galaxy", ~rows["objID"].duplicated())
    rows = rows.sort_values("objID", kind="stable")
    photometry = [f"{what}_{b}" for what in ("modelFlux", "modelFluxIvar") for b in BANDS]
    keep("flux and its error in all bands", (rows[photometry] > 0).all(axis=1))
    strong = [
        rows[f"{line}_flux"]
        > LINE_SIGNAL_TO_NOISE * LINE_ERROR_FACTOR[line] * rows[f"{line}_flux_err"]
        for line in LINES
    ]
    measured = [rows[f"{line}_flux_err"] > 0 for line in LINES]
    keep("four lines at 3 sigma, errors rescaled", np.all(strong + measured, axis=0))
    keep("star-forming (Kauffmann et al. 2003)", is_star_forming(rows))

    def catalogue_of(rows):
        columns = {
            "object_id": rows["objID"].astype("int64").astype(str),
            "ra": rows["ra"],
            "dec": rows["dec"],
            "redshift": rows["z"],
            "ebv": rows["ebv"],
        }
        for band in BANDS:
            flux = rows[f"modelFlux_{band}"]
            columns[f"mag_{band}"] = (
                22.5 - 2.5 * np.log10(flux) + AB_OFFSET[band] - EXTINCTION[band] * rows["ebv"]
            )
        for band in BANDS:
            flux, ivar = rows[f"modelFlux_{band}"], rows[f"modelFluxIvar_{band}"]
            columns[f"magerr_{band}"] = 2.5 / np.log(10) / (flux * np.sqrt(ivar))
        for name, theirs in (
            ("log_stellar_mass", "lgm_tot"),
            ("log_sfr", "sfr_tot"),
            ("oxygen_abundance", "oh"),
        ):
            columns[name] = rows[f"{theirs}_p50"]
            columns[f"{name}_err"] = (rows[f"{theirs}_p84"] - rows[f"{theirs}_p16"]) / 2
        columns["dn4000"] = rows["d4000_n_sub"]
        columns["dn4000_err"] = rows["d4000_n_sub_err"]
        columns["a_v"] = MAGNITUDES_PER_TAU * rows["tauv_cont"]
        columns["a_v_balmer"] = balmer_attenuation(rows["h_alpha_flux"], rows["h_beta_flux"])
        return pd.DataFrame(columns)

    catalogue = catalogue_of(rows)
    sane = np.all(
        [catalogue[p.name].between(*p.plausible) for p in PROPERTIES]
        + [catalogue[c].between(0, 5) for c in catalogue if c.endswith("_err")]
        + [catalogue["ebv"].between(0, 2)],
        axis=0,
    )
    keep("five properties with plausible values and errors", sane)
    catalogue = catalogue[sane].reset_index(drop=True)
    steps.append(("of these, bptclass 1 (star-forming)", int((rows["bptclass"] == 1).sum())))
    catalogue["split"] = assign_split(catalogue["object_id"], validation, test)
    steps.append(("paper", PAPER_GALAXIES))
    return catalogue, pd.DataFrame(steps, columns=["cut", "galaxies"])
