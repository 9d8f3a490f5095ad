"""The population: galaxies with their properties, photometry and labels.

Galaxies are drawn in batches of candidates that depend only on (seed, batch); galaxies that are
bright enough are kept in order. A larger survey thus begins with the galaxies of a smaller one.
"""

from collections.abc import Collection, Iterable
from itertools import count

import numpy as np
import pandas as pd

from galcfm.properties import BANDS, MAGNITUDE_ERRORS, MAGNITUDES, PROPERTY_NAMES
from galcfm.simulate.galaxies import before_noise, is_star_forming
from galcfm.simulate.instruments import SDSS, Instrument, instrument_of
from galcfm.simulate.labels import MEASURED, measure
from galcfm.simulate.looks import draw_looks
from galcfm.simulate.stages import Observed
from galcfm.simulate.structure import RENDERED_BANDS
from galcfm.simulate.ties import require_ties
from galcfm.survey import assign_split, require_booleans

BATCH_SIZE = 512

# Columns that rendering and studies need in addition to the columns of a survey.
LATENTS = {
    **{
        f"{part}_fraction_{band}": f"share of the {band} flux in the {part}"
        for part, bands in (("bulge", BANDS), ("arm", RENDERED_BANDS), ("knot", RENDERED_BANDS))
        for band in bands
    },
    **{f"{name}_noiseless": f"{name} without noise" for name in MAGNITUDES},
    "a_v_balmer": "attenuation of the emission lines at 5500 Å, measured, mag",
    "a_v_balmer_true": "the same without measurement errors",
    "bulge_radius": "half-light radius of the bulge, major axis, arcsec",
    "bulge_axis_ratio": "apparent axis ratio of the bulge",
    "bulge_index": "Sérsic index of the bulge",
    "disc_radius": "half-light radius of the disc, major axis, arcsec",
    **{
        f"disc_radius_{band}": f"half-light radius of the smooth disc in {band}, arcsec"
        for band in RENDERED_BANDS
    },
    "disc_thickness": "scale height over scale length of the disc",
    "disc_ellipticity": "face-on ellipticity of the disc",
    "inclination": "angle of the disc to the sky, degrees, 0 is face-on",
    "position_angle": "position angle, degrees",
    "bar_fraction": "share of the smooth disc's light in a bar",
    "bar_length": "semi-major axis of the bar, arcsec",
    "bar_angle": "angle of the bar in the plane of the disc, degrees",
    "ring_radius": "radius of a ring of young stars in scale lengths, 0 without",
    "n_arms": "number of spiral arms",
    "arm_width": "scatter of the arms in azimuth, rad",
    "pitch_angle": "pitch angle of the arms, degrees",
    "n_knots": "number of knots",
    "lopsidedness": "relative amplitude A1 of the disc's first Fourier mode",
    "lopsided_angle": "its direction in the plane of the disc, degrees",
    "dust_lane": "share of the disc's light in r that a lane takes",
    "companion_magnitude": "r of a companion less that of the galaxy, NaN without one",
    "companion_separation": "its distance, arcsec",
    "companion_angle": "its direction, degrees",
    "seeing": "FWHM of the point spread function in r, arcsec",
    "bulge_mass_fraction": "share of the stellar mass in the bulge",
    "active": "1 with an active nucleus, which contributes to the emission lines, else 0",
    "lines_seen": "1 where the lines that classify it are seen in the fibre, else 0",
    "sequence": "0 on the main sequence, 1 in the green valley, 2 quiescent",
    "log_sfr_history": "log SFR of the smooth history, before the recent burst or lull",
    "log_sfr_recent": "log SFR of the whole galaxy, mean of the last 100 Myr",
}


POPULATIONS = ("star-forming", "parent")


def simulate_catalogue(
    n_galaxies: int,
    seed: int,
    *,
    population: str = "star-forming",
    label_errors: bool = True,
    validation: float = 0.1,
    test: float = 0.1,
    instrument: str | Instrument = SDSS,
    without: Collection[str] = (),
) -> pd.DataFrame:
    """Return a catalogue of simulated galaxies as SDSS, or another instrument, would select them.

    Arguments:
        n_galaxies: Number of galaxies, at least 1.
        seed: Seed of the survey. The first `n` galaxies of a seed do not depend on `n_galaxies`.
        population: `"star-forming"`, the galaxies of the parent population that `is_star_forming`
            keeps, or `"parent"`, all galaxies. The oxygen abundance of the other galaxies is NaN,
            as it cannot be measured.
        label_errors: Whether to add errors typical of the MPA-JHU catalogue to the five
            properties; `<property>_true` is always without them.
        validation: Fraction of galaxies in the validation split.
        test: Fraction of galaxies in the test split.
        instrument: Instrument of the observation, or its name in `INSTRUMENTS`.
        without: Names of `TIES` that are switched off.

    Returns:
        One row per galaxy: the columns of a survey, `magerr_*`, `<property>_err`,
        `<property>_true` and the columns of `LATENTS`.

    Raises:
        ValueError: `n_galaxies` or `seed` is not positive, the population, instrument or a tie is
            unknown, or the fractions are not sensible.
        FileNotFoundError: See `galcfm.simulate.spectra.load_templates`.
    """
    check_size(n_galaxies, seed)
    require_booleans(label_errors=label_errors)
    without, instrument = require_ties(without), instrument_of(instrument)
    if population not in POPULATIONS:
        raise ValueError(f"population is {population!r}: choose from {', '.join(POPULATIONS)}")
    batches = (candidates(seed, batch, population, instrument, without) for batch in count())
    table = assemble(batches, n_galaxies, seed, label_errors, validation, test)
    if population == "parent":
        table["object_id"] = table["object_id"].str.replace("sim-", "sim-parent-")
    return table


def check_size(n_galaxies: int, seed: int) -> None:
    """Raise `ValueError` when a survey of this size or seed cannot be made."""
    if n_galaxies < 1:
        raise ValueError(f"n_galaxies is {n_galaxies}: a survey needs at least one galaxy")
    if seed < 0:
        raise ValueError(f"seed is {seed}: it must not be negative")


def assemble(
    batches: Iterable[pd.DataFrame],
    n_galaxies: int,
    seed: int,
    label_errors: bool,
    validation: float,
    test: float,
) -> pd.DataFrame:
    """Return a catalogue from batches of `candidates`, taken in order until there are enough."""
    found, n = [], 0
    for batch in batches:
        found.append(batch)
        n += len(batch)
        if n >= n_galaxies:
            break
    table = pd.concat(found, ignore_index=True).iloc[:n_galaxies]
    table.insert(0, "object_id", [f"sim-{seed}-{k:06d}" for k in range(n_galaxies)])
    if not label_errors:
        for name in MEASURED:
            table[name] = table[f"{name}_true"]
        for name in PROPERTY_NAMES:
            table[f"{name}_err"] = 0.0
    table["split"] = assign_split(table["object_id"], validation, test)
    return table


def candidates(
    seed: int,
    batch: int,
    population: str = "star-forming",
    instrument: Instrument = SDSS,
    without: tuple[str, ...] = (),
) -> pd.DataFrame:
    """Return the galaxies brighter than the limit among one batch of candidates.

    Arguments:
        seed: Seed of the survey.
        batch: Number of the batch.
        population: See `simulate_catalogue`.
        instrument: Instrument of the observation.
        without: Names of `TIES` that are switched off.

    Returns:
        The table of `simulate_catalogue` without `object_id` and `split`.
    """
    rng = np.random.default_rng([seed, 1, batch])
    observed = before_noise(rng, BATCH_SIZE, instrument, without)
    table = pd.DataFrame(_with_noise(rng, observed, instrument.seeing, without))
    g = observed.galaxies
    star_forming = is_star_forming(g.m, g.s, g.active)
    if "lines" not in without:
        star_forming &= observed.lines_seen
    for column in ("oxygen_abundance", "oxygen_abundance_true"):
        table.loc[~star_forming, column] = np.nan
    # Rounded, so that differences in a processor's last bit do not change the survey.
    table = table.round(6)
    kept = table["mag_r"] < instrument.magnitude_limit
    return table[kept & star_forming if population == "star-forming" else kept]


def _with_noise(
    rng, observed: Observed, seeing: float, without: tuple[str, ...]
) -> dict[str, np.ndarray]:
    """Return the columns of the catalogue: noisy photometry, labels, inputs of the rendering."""
    g, seen, truth = observed.galaxies, observed.photometry, observed.labels
    n, total = len(g.m), sum(seen.fluxes.values())
    noise = seen.drawn * rng.normal(size=total.shape)
    magnitudes = seen.magnitudes + noise
    measured, sizes = measure(rng, truth, noise, seen.drawn, without)
    return {
        "ra": rng.uniform(120, 240, n),
        "dec": np.degrees(np.arcsin(rng.uniform(0, np.sin(np.radians(60)), n))),
        "redshift": g.redshift,
        "ebv": seen.ebv,
        **{name: magnitudes[:, b] for b, name in enumerate(MAGNITUDES)},
        **{name: seen.errors[:, b] for b, name in enumerate(MAGNITUDE_ERRORS)},
        **{f"{name}_noiseless": seen.magnitudes[:, b] for b, name in enumerate(MAGNITUDES)},
        **measured,
        **{f"{name}_err": sizes[name] for name in PROPERTY_NAMES},
        **{f"{name}_true": truth[name] for name in MEASURED},
        **{
            f"{part}_fraction_{band}": (seen.fluxes[part] / total)[:, BANDS.index(band)]
            for part, bands in (("bulge", BANDS), ("arm", RENDERED_BANDS), ("knot", RENDERED_BANDS))
            for band in bands
        },
        **seen.radii,
        **draw_looks(rng, g, observed.light.band_dust, without, seeing),
        "bulge_mass_fraction": observed.stars.bulge_mass,
        "lines_seen": observed.lines_seen.astype(float),
        "sequence": g.sequence.astype(float),
        "active": g.active.astype(float),
        "log_sfr_history": g.s_history,
        "log_sfr_recent": g.s,
    }
