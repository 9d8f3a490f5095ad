"""The survey of each row, and magnitudes of other kinds than the model magnitudes."""

import numpy as np
import pandas as pd

from galcfm.properties import BANDS, MAGNITUDE_ERRORS, MAGNITUDES
from galcfm.simulate import INSTRUMENTS
from galcfm.simulate.galaxies import magnitude_error
from galcfm.simulate.relations import FIBRE, PHOTOMETRIC_ERRORS
from galcfm.simulate.structure import within_aperture
from galcfm.survey import Survey
from studies.frame import SurveyPlan
from studies.picture_worth.rows import Row

# Ties that change labels and nothing that a photometer or a camera sees.
OF_LABELS = ("error_spread", "fibre", "line_rate", "mass_errors")
TIMES = {"twice": 2, "four times": 4}
PHOTOMETRY = ("model", *TIMES, "Petrosian", "fibre")


def measured_photometry(table: pd.DataFrame, photometry: str) -> np.ndarray:
    """Return AB magnitudes of a simulated catalogue of some kind, shape (n, 5).

    Arguments:
        table: Table of `galcfm.simulate.simulate_catalogue`.
        photometry: `"model"` for the catalogue's own model magnitudes; `"twice"` and `"four times"`
            for the same with so much noise; `"fibre"` for the light within a fibre of 3 arcsec;
            `"Petrosian"` for the light within two Petrosian radii: 99 % of an exponential disc,
            98 % of a bulge that is nearly one, and 82 % of a de Vaucouleurs bulge (Graham & Driver
            2005, PASA 22, 118).
    """
    rng = np.random.default_rng([0, PHOTOMETRY.index(photometry)])
    seen = table[list(MAGNITUDES)].to_numpy()
    noiseless = table[[f"{name}_noiseless" for name in MAGNITUDES]].to_numpy()
    calibration = PHOTOMETRIC_ERRORS["calibration"]
    deviates = rng.standard_normal(seen.shape)
    if photometry == "model":
        return seen
    if photometry in TIMES:
        drawn = np.hypot(table[list(MAGNITUDE_ERRORS)].to_numpy(), calibration)
        return seen + np.sqrt(TIMES[photometry] ** 2 - 1) * drawn * deviates
    bulge = table[[f"bulge_fraction_{band}" for band in BANDS]].to_numpy()
    classical = (table["bulge_index"] == 4).to_numpy()
    if photometry == "fibre":
        radii = {name: table[name].to_numpy() for name in ("disc_radius", "bulge_radius")}
        cosine = np.cos(np.radians(table["inclination"].to_numpy()))
        of_bulge, of_disc, _ = within_aperture(FIBRE["radius"], cosine, radii, classical)
        area = np.full((len(table), 1), np.pi * FIBRE["radius"] ** 2)
    else:
        of_bulge, of_disc = np.where(classical, 0.82, 0.98), np.full(len(table), 0.994)
        # Two Petrosian radii of an exponential disc are 4.34 half-light radii.
        area = np.pi * (4.34 * table[["disc_radius"]].to_numpy()) ** 2
    share = bulge * of_bulge[:, None] + (1 - bulge) * of_disc[:, None]
    magnitudes = noiseless - 2.5 * np.log10(share)
    flux = 10 ** (0.4 * (22.5 - magnitudes))
    noise = magnitude_error(flux, table["ebv"].to_numpy(), area)
    return magnitudes + np.hypot(noise, calibration) * deviates


def survey_of(row: Row, plan: SurveyPlan) -> Survey:
    """Return the survey of a row; rows that differ in labels alone share their images."""
    camera = tuple(sorted({*row.without, *OF_LABELS}))
    instrument = INSTRUMENTS[row.instrument]
    table, shown = (
        plan.catalogue(without=without, instrument=instrument).catalogue
        for without in (row.without, camera)
    )
    names = list(MAGNITUDES)
    if row.photometry in TIMES:
        # The image shows what the noisier photometer saw.
        shown[names] = measured_photometry(shown, row.photometry)
    if row.leak:
        shown[names] = shown[[f"{name}_noiseless" for name in names]].to_numpy()
    table[names] = measured_photometry(table, row.photometry)
    if row.balmer:
        table["a_v"] = table["a_v_balmer"]
    differs = row.photometry if row.photometry in TIMES else row.leak
    pictured = plan.pictures("ties", shown, differs, instrument=instrument, without=camera)
    return Survey(table, pictured.images, {"kind": "simulated"}, pictured.name)
