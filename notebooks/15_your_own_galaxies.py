# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,mystnb,-all
#     formats: ipynb,py:percent
#     notebook_metadata_filter: kernelspec,jupytext,-all
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Your own galaxies
#
# A table, and cutouts where there are some, become a survey; a trained model
# gives their posteriors. A row is never repaired: it is used as it stands,
# converted to the units of this book, or listed with the reason. Nothing is
# taken for something else in silence, neither a masked value for a number,
# nor a flux for a magnitude, nor a picture for one of another scale. The
# tables of this chapter say what is taken and what is refused; each line is
# made by trying it when the page is built. {doc}`../run_it_yourself` has the
# calls in brief, {doc}`../data` the definitions.
#
# The parameters change how many galaxies are shown, and how models for some
# sets of bands are trained and tested; for example, in some minutes,
#
# ```
# papermill notebooks/15_your_own_galaxies.ipynb out.ipynb -p results made \
#   -p n_galaxies 6000 -p max_epochs 10 -p n_exact 0 -y "sets: [griz, grz]"
# ```

# %% tags=["parameters", "hide-input"]
profile = "quick"  # folder of the run: smoke, quick, paper or sdss
run = ""  # name of a rerun: data/runs/PROFILE-RUN
survey = "quick"  # folder of the survey: data/surveys/SURVEY
n_shown = 6  # test galaxies that stand in for yours; not in the paper
# Of models of some bands: "published", or "made": now, with the values below
results = "published"
# Sets of bands to make
sets = ["ugriz", "griz", "uriz", "ugiz", "ugrz", "ugri", "grz", "gri"]
n_galaxies = 60000  # simulated galaxies, a tenth each to validate and test
max_epochs = 36  # passes over them; a model of any bands has 25/3 times more
n_draws = 400  # draws of each posterior, for coverage
n_drawn = 1000  # test galaxies for coverage
n_exact = 100  # galaxies with exact posteriors; 0 leaves them out
sampler = {}  # changes to their sampler, e.g. {"n_particles": 1000}
results_cards = "published"  # or "made": of all published models
n_measured = 1200  # simulated galaxies on which each model is measured
n_book = 12000  # galaxies of the survey whose card is written

# %% tags=["hide-input"]
# %matplotlib inline
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pyarrow
from astropy import units as u
from astropy.io import fits
from astropy.table import QTable

from galcfm import Posterior, Survey, figures, paths, runs
from galcfm.figures import tables
from galcfm.posterior import redshift_quantiles
from galcfm.posterior.replicated import MagnitudeModel, check_photometry
from galcfm.posterior.summaries import save_summaries, summarise
from galcfm.properties import (
    BANDS,
    MAGNITUDE_ERRORS,
    MAGNITUDES,
    PROPERTY_NAMES,
)
from galcfm.survey.conventions import LEGACY, NSA
from galcfm.survey.cutouts import Cutouts
from galcfm.survey.images import encode_jpeg
from galcfm.survey.photometry import VEGA_OFFSET
from studies import cards, missing_bands

folder = runs.open_run("15_your_own_galaxies", globals())
whole = Survey.load(paths.survey_folder(survey))
test = whole.split("test")
galaxies = test.select(range(n_shown))
pd.set_option("display.max_colwidth", None)

# %% [markdown]
# ## A table in, posteriors out
#
# Here some test galaxies stand in for yours: their fluxes in microjansky, as
# many catalogues have them, under names of their own. You declare what a
# table cannot say: the unit where the columns have none, that the fluxes are
# *total* ones, and whether the Galaxy's extinction is removed.

# %%
own = QTable({"ID": list(galaxies.object_id)})
for k, band in enumerate(BANDS):
    own[f"F_{band}"] = (galaxies.magnitudes[:, k] * u.ABmag).to(u.uJy)
columns = {f"mag_{band}": f"F_{band}" for band in BANDS}
columns["object_id"] = "ID"
declared = {"unit": "Jy", "total": True, "dereddened": True}
mine = Survey.from_table(own, columns, **declared)
model = Posterior.load(paths.published_folder() / "models" / "photometry")
posteriors = model.infer(mine, n_samples=1000, steps=12, progress=False)
posteriors["log_stellar_mass"].median(("chain", "draw")).to_series().round(2)

# %% mystnb={"figure": {"caption": "Posterior of the first galaxy by the small photometry model that is kept in the repository, with the values that its survey has measured.", "name": "fig-own-corner"}, "image": {"alt": "Corner plot of the five properties of one galaxy: histograms on the diagonal and contours below in orange, with lines at the measured values."}}
figures.galaxy_corner(
    galaxies.catalogue,
    {"photometry": posteriors},
    galaxy=0,
    source=galaxies.source,
)

# %% [markdown]
# `posteriors.to_netcdf("mine.nc")` writes what ArviZ reads, and
# `mine.save("mine")` keeps the survey, the rows that were rejected with it.
#
# ## By any door the same survey
#
# The same galaxies as a file of each format, and as what your own code may
# have in its hands. *Taken* gives the first magnitude in $r$, which must be
# the same in each line.

# %%
place = Path(tempfile.mkdtemp())
flux = own.copy()
plain = pd.DataFrame({name: np.array(own[name]) for name in own.colnames})
jansky = plain.assign(**{f"F_{b}": plain[f"F_{b}"] / 1e6 for b in BANDS})
flux.write(place / "a.fits")
flux.write(place / "a.fits.gz")
flux.write(place / "a.ecsv")
flux.write(place / "a.vot", format="votable")
flux.write(place / "a.h5", path="galaxies", serialize_meta=True)
jansky.to_parquet(place / "a.parquet")
jansky.to_csv(place / "a.csv", index=False)
doors = {
    "FITS, in μJy by its header": lambda: place / "a.fits",
    "the same, packed": lambda: place / "a.fits.gz",
    "its records, of fits.getdata": lambda: fits.getdata(place / "a.fits"),
    "its HDU": lambda: fits.open(place / "a.fits")[1],
    "ECSV": lambda: place / "a.ecsv",
    "VOTable": lambda: place / "a.vot",
    "HDF5": lambda: place / "a.h5",
    "Parquet": lambda: place / "a.parquet",
    "CSV": lambda: place / "a.csv",
    "pandas DataFrame": lambda: jansky,
    "astropy QTable": lambda: own,
    "pyarrow Table": lambda: pyarrow.Table.from_pandas(jansky),
    "dict of arrays": lambda: dict(jansky.items()),
}
tables.trials(
    {
        name: lambda make=make: Survey.from_table(make(), columns, **declared)
        for name, make in doors.items()
    },
    lambda found: f"r = {found.magnitudes[0, 2]:.4f}",
)

# %% [markdown]
# ## As surveys publish them
#
# `galcfm.survey.conventions` has the names that SDSS, the NASA-Sloan Atlas and
# the Legacy Surveys use, as arguments of `Survey.from_table`: read them, and
# hand them on, or correct them first.

# %%
nanomaggies = 10 ** (0.4 * (22.5 - galaxies.magnitudes))
# FUV and NUV stand before ugriz.
flux = np.pad(nanomaggies, ((0, 0), (2, 0)))
atlas = {
    "NSAID": np.arange(n_shown),
    "RA": galaxies.catalogue["ra"],
    "DEC": galaxies.catalogue["dec"],
    "Z": galaxies.redshift,
    "ELPETRO_NMGY": flux,
    "ELPETRO_NMGY_IVAR": np.full(flux.shape, 1.0),
}
print(NSA)
Survey.from_table(atlas, **NSA).magnitudes[0]

# %% [markdown]
# Magnitudes may be asinh ones with the softening of SDSS, or on the Vega
# system; inverse variances of fluxes go in as `ivar_u` … `ivar_z`.

# %% tags=["words"]
table = galaxies.catalogue[["object_id", *MAGNITUDES]]
vega = table.assign(
    **{f"mag_{b}": table[f"mag_{b}"] - VEGA_OFFSET[b] for b in BANDS}
)
kinds = {
    "AB": (table, "AB"),
    "asinh": (table, "asinh"),
    "Vega": (vega, "Vega"),
    "ST": (table, "ST"),
}
tables.trials(
    {
        name: lambda table=table, unit=unit: Survey.from_table(
            table, unit=unit, total=True, dereddened=True
        )
        for name, (table, unit) in kinds.items()
    },
    lambda found: f"u = {found.magnitudes[0, 0]:.4f}",
)

# %% [markdown]
# ## Whole tables that are refused
#
# A table is refused where it says something else than you declare, or where
# two readings are possible. The sentence names the remedy.

# %% tags=["words"]
magnitudes = galaxies.catalogue[["object_id", *MAGNITUDES]]
ab = {"unit": "AB", "total": True, "dereddened": True}
twice = pd.concat([magnitudes, magnitudes[["mag_u"]]], axis=1)
upper = magnitudes.rename(columns=str.upper)
cases = {
    "magnitudes declared in nanomaggies": (
        magnitudes,
        ab | {"unit": "nanomaggy"},
    ),
    "janskys declared as magnitudes": (jansky, ab),
    'dereddened="no"': (magnitudes, ab | {"dereddened": "no"}),
    "aperture fluxes": (magnitudes, ab | {"total": False}),
    "a column twice": (twice, ab),
    "names in capitals": (upper, ab),
    "no z band": (magnitudes.drop(columns="mag_z"), ab),
    "Galactic extinction, but no E(B−V)": (
        magnitudes,
        ab | {"dereddened": False},
    ),
}
tables.trials(
    {
        name: lambda table=table, told=told: Survey.from_table(
            table, columns if "ID" in table else None, **told
        )
        for name, (table, told) in cases.items()
    },
    len,
)[["refused"]]

# %% [markdown]
# ## Rows that are refused
#
# A row that cannot be used is left out of the survey and listed in
# `rejected`. A galaxy may lack a *label*, as row 6 does: it can be inferred,
# and is not trained on. A label that no galaxy has costs its row.

# %% tags=["words"]
text = galaxies.catalogue[["object_id", *MAGNITUDES, *PROPERTY_NAMES]]
text = pd.concat([text, text.assign(object_id=text["object_id"] + "-b")])
text = text.astype(str).assign(redshift="0.05").reset_index(drop=True)
for row, column, value in (
    (0, "mag_u", "-9999"),
    (1, "mag_g", ""),
    (2, "mag_r", "bright"),
    (3, "mag_i", "1_7"),
    (4, "redshift", "99"),
    (5, "object_id", "1.23765E+18"),
    (6, "dn4000", "-9999"),
    (7, "log_stellar_mass", "3e10"),
):
    text.loc[row, column] = value
usable = Survey.from_table(text, **ab)
print(f"{len(usable)} of {len(text)} galaxies can be used")
usable.rejected.set_index("row")

# %% [markdown]
# ## Cutouts
#
# Cutouts are arrays, or files of a folder by the identifier: JPEG, PNG, or
# FITS in $i$, $r$ and $g$. FITS images are turned until north is up by their
# own world coordinates, whatever frame these are in, and their middle must
# lie where the table says that the galaxy is. Arrays are cutouts of a survey
# already, or resampled from the scale that you state. Fluxes in bands, from
# NumPy, HDF5, or one FITS file per band, are coloured here; `Cutouts` says in
# which bands they are where the file does not. No band stands in for another:
# an image model trained on $i$, $r$ and $g$ takes no $g$, $r$, $z$ of
# the Legacy Surveys, whose pixels of 0.262″ would be no hindrance.

# %% tags=["words"]
images = galaxies.images
(place / "jpegs").mkdir()
for name, image in zip(galaxies.object_id, images, strict=True):
    (place / "jpegs" / f"{name}.jpg").write_bytes(encode_jpeg(image))
# As if they were fluxes in g, r, i: rows run north, as in FITS.
fluxes = 1e-3 * images[:, ::-1, :, ::-1].transpose(0, 3, 1, 2)
with h5py.File(place / "fluxes.h5", "w") as file:
    file["images"] = fluxes
    file["images"].attrs["bands"] = "gri"
pictures = {
    "JPEGs in a folder": place / "jpegs",
    "an array": images,
    "fluxes in g, r, i": Cutouts(fluxes, bands="gri"),
    "HDF5 that says its bands": place / "fluxes.h5",
    "fluxes in g, r, z": Cutouts(fluxes, bands="grz"),
    "fluxes in bands that nobody names": fluxes,
    "a masked array without gaps": np.ma.MaskedArray(images),
    "channels first": images.transpose(0, 3, 1, 2),
    "numbers from 0 to 1": images / 255,
    "four channels": np.concatenate([images, images[..., :1]], axis=3),
    "too small": images[:, 32:96, 32:96],
    "one cutout too few": images[1:],
    "a folder that is not there": place / "nowhere",
}
tables.trials(
    {
        name: lambda cutouts=cutouts: Survey.from_table(
            magnitudes, cutouts=cutouts, pixel_scale=0.396, **ab
        )
        for name, cutouts in pictures.items()
    },
    lambda found: f"{len(found)} cutouts",
)

# %% [markdown]
# ## Arrays straight into a model
#
# `Posterior.sample`, `log_prob` and `out_of_range` take arrays of NumPy,
# PyTorch and pandas.

# %% tags=["words"]
m = galaxies.magnitudes
named = pd.DataFrame(m, columns=list(MAGNITUDES))
gap = np.arange(m.size).reshape(m.shape) == 7
arrays = {
    "NumPy": lambda: model.sample(m, n_samples=4),
    "nested lists": lambda: model.sample(m.tolist(), n_samples=4),
    "DataFrame, columns in another order": lambda: model.sample(
        named[list(MAGNITUDES[::-1])], n_samples=4
    ),
    "AB magnitudes with their unit": lambda: model.sample(
        m * u.ABmag, n_samples=4
    ),
    "fluxes with their unit": lambda: model.sample(
        (m * u.ABmag).to(u.uJy), n_samples=4
    ),
    "a masked value": lambda: model.sample(
        np.ma.MaskedArray(m, gap), n_samples=4
    ),
    "DataFrame with other names": lambda: model.sample(pd.DataFrame(m)),
    "four bands": lambda: model.sample(m[:, :4]),
    "n_samples=0": lambda: model.sample(m, n_samples=0),
    "a redshift, which this model was not told": lambda: model.sample(
        m, redshift=galaxies.redshift
    ),
    "theta with a NaN": lambda: model.log_prob(
        np.where(gap, np.nan, galaxies.properties), m
    ),
    'device="cuda:99"': lambda: Posterior.load(
        paths.published_folder() / "models" / "photometry", device="cuda:99"
    ),
}
tables.trials(arrays, lambda theta: f"{tuple(theta.shape)}")

# %% [markdown]
# ## Bands that are missing, and upper limits
#
# The model `any_bands` was trained with bands of its galaxies hidden at
# random. A magnitude that is NaN is missing for it; one whose error is
# infinite is an upper limit of the flux. `missing_bands=True` keeps such rows
# of a table, and makes a limit of a flux that is not positive, at three times
# its error. Below is one galaxy four times: of mass and star formation rate
# less is known with each band that goes. A model of all bands refuses the last
# three.

# %%
any_bands = Posterior.load(paths.published_folder() / "models" / "any_bands")
gaps = galaxies.catalogue.iloc[[0] * 4].reset_index(drop=True)
gaps["object_id"] = ["ugriz", "griz, u fainter than a limit", "griz", "grz"]
gaps.loc[1, "mag_u"] -= 0.1
gaps.loc[1, "magerr_u"] = np.inf
gaps.loc[[2, 3], ["mag_u", "magerr_u"]] = np.nan
gaps.loc[3, ["mag_i", "magerr_i"]] = np.nan
gaps = gaps[["object_id", *MAGNITUDES, *MAGNITUDE_ERRORS]]
with_gaps = Survey.from_table(gaps, missing_bands=True, **ab)
draws = any_bands.infer(with_gaps, n_samples=4000, steps=12, progress=False)
widths = draws.std(("chain", "draw")).to_dataframe()[list(PROPERTY_NAMES)]
of_models = cards.find(results_cards, folder, cards.Plan.of(globals()))
for known in ("photometry", "any_bands"):
    evaluation = of_models.content["models"][known]
    print("log p {log_prob:.2f} nat, of {n} galaxies".format(**evaluation))
widths.round(3).rename_axis("68 % half-width, about")

# %% [markdown]
# With all bands, too, it knows more than the model of magnitudes alone (the
# first line): at one magnitude, errors are larger where more sky lies under
# the galaxy, and so tell its size. They must be those of photon noise, as in
# the training; the range check, by the bands that are measured, flags galaxies
# with others.

# %% [markdown]
# Is a wider posterior an honest one? Here it is compared with models that were
# trained for one set of bands each, and, for some galaxies, with the exact
# posterior of these bands. Those models are of the size of the published
# photometry model and trained as it was; the one model, which is many in one,
# is wider and learned several times longer. A difference of zero means that it
# replaces them, not that as long a training for one set would be no better.

# %% mystnb={"figure": {"caption": "The model any_bands on simulated galaxies that it has not seen. Left: its mean log-density of the labels, minus that of a model that was trained for these bands alone; and that of a model of any bands without errors, minus that of the exact posterior; bars are two standard errors, grey is \u00b10.05 nat. Right: labels inside its 95 % intervals, and (grey) what 95 % is by numbers.", "name": "fig-own-bands"}, "image": {"alt": "Eight rows, a set of bands each. Left panel: dots with error bars about zero. Right panel: five coloured dots a row, one a property, about 0.95."}}
bands = missing_bands.find(results, folder, missing_bands.Plan.of(globals()))
print(bands.origin)
missing_bands.draw(bands.content, source="simulated survey")

# %% [markdown]
# ## A redshift that is known as p(z)
#
# Photometric redshifts come as a distribution. The posterior is then the mean
# over it: give one equally likely redshift for each draw. Below, half-widths
# in the mean of the galaxies above, without a redshift, for a normal p(z), and
# with a spectrum. p(z) must be that of the galaxy by all that is known of it,
# this photometry included. The width of 0.02 is a warning: magnitudes and
# errors of galaxies this near say more of their redshifts themselves, and a
# p(z) that does not know it makes posteriors wider than none.

# %%
told = Posterior.load(
    paths.published_folder() / "models" / "any_bands_redshift"
)
seen = {
    "magnitudes": galaxies.magnitudes,
    "magnitude_errors": galaxies.catalogue[list(MAGNITUDE_ERRORS)],
    "n_samples": 1000,
    "steps": 12,
}
z = galaxies.redshift
grid = np.linspace(0, 0.5, 1001)
found = {"no redshift": any_bands.sample(**seen)}
for width in (0.02, 0.005):
    density = np.exp(-0.5 * ((grid - z[:, None]) / width) ** 2)
    of_each = redshift_quantiles(grid, density, 1000)
    found[f"p(z) of width {width}"] = told.sample(redshift=of_each, **seen)
found["spectroscopic redshift"] = told.sample(redshift=z, **seen)
pd.DataFrame(
    {name: theta.std(1).mean(0).numpy() for name, theta in found.items()},
    index=list(PROPERTY_NAMES),
).T.round(3)

# %% [markdown]
# ## A picture, and the redshift
#
# Where spectra gave redshifts and little more, `image_redshift` takes the
# redshift with magnitudes and cutout. Below, what each published model knows
# of galaxies of this survey: the mean log-density of the labels, and
# half-widths. The models are of unlike trainings; what a picture adds to
# magnitudes and a redshift, both trained alike, is printed first.

# %%
some = test.select(range(min(200, len(test))))
known_by = {}
for name in ("photometry", "photometry_redshift", "image", "image_redshift"):
    known = Posterior.load(paths.published_folder() / "models" / name)
    condition = known.encode_survey(some)
    theta = known.sample_from(condition, some.object_id, 400, 12, 0)
    log_p = known.log_prob_from(some.properties, condition, 24)
    known_by[name] = {
        "log p [nat]": float(log_p.mean()),
        **dict(
            zip(PROPERTY_NAMES, theta.std(1).mean(0).tolist(), strict=True)
        ),
    }
of_picture = known.metadata["gain"]
print(
    "a picture adds {gain:.3f} ± {standard_error:.3f} nat, "
    "of {n_test} simulated galaxies".format(**of_picture)
)
pd.DataFrame(known_by).T.round(3)

# %% [markdown]
# ## The Legacy Surveys: what fits, what has to be trained
#
# The Legacy Surveys of DESI have $g$, $r$, $z$, in the south $i$, over a third
# of the sky, five magnitudes deeper than this sample, in pixels of 0.262″. The
# same calls take them, as far as this table says; nothing of its right column
# has been made here.
#
# | | today | to be made |
# |---|---|---|
# | fluxes | `LEGACY` has their names; `any_bands` takes them without $u$ and $i$, with errors as those of SDSS | their filters are not SDSS's: colours differ by some hundredths of a magnitude. A survey through the curves of DECam, BASS and MzLS (speclite has them), and `any_bands` trained on it |
# | cutouts | read at their scale, $g$, $r$ and $z$ refused by models of $g$, $r$ and $i$ | pictures in $g$, $r$, $z$ with their seeing, sky and noise in place of SDSS's frames, shown by the chapter {doc}`12_is_the_survey_real`'s own tests to pass; both models trained anew |
# | depth | galaxies fainter than $r = 17.77$ are flagged as out of range | models of the simulator's `instrument="Legacy"`: 19.5, the limit of DESI's Bright Galaxy Survey, and redshifts to 0.6, but through SDSS's filters |
# | labels | those of SDSS, where both have looked | spectra of DESI: `Survey.from_table` takes any table of the five properties |

# %% [markdown]
# `any_bands` reads errors as SDSS's photon noise, which tells of a galaxy's
# size. Below are six galaxies under the names of the Legacy Surveys, with the
# errors of SDSS and with a tenth of them, as a deeper survey has: those are
# flagged, and rightly, for the same magnitudes give other masses.

# %%
flux_errors = (
    nanomaggies
    * galaxies.catalogue[list(MAGNITUDE_ERRORS)].to_numpy()
    * (np.log(10) / 2.5)
)
sweep = {
    "TARGETID": 39627 * 10**9 + np.arange(n_shown),
    "RA": galaxies.catalogue["ra"],
    "DEC": galaxies.catalogue["dec"],
    "EBV": np.full(n_shown, 0.03),
    **{f"FLUX_{b.upper()}": nanomaggies[:, BANDS.index(b)] for b in "grz"},
}
medians = {}
for name, share in (("SDSS's errors", 1.0), ("a tenth of them", 0.1)):
    for b in "grz":
        error = share * flux_errors[:, BANDS.index(b)]
        sweep[f"FLUX_IVAR_{b.upper()}"] = error**-2
    legacy = Survey.from_table(sweep, missing_bands=True, **LEGACY)
    of_each = any_bands.infer(legacy, steps=12, progress=False)
    medians[name] = pd.DataFrame(
        {
            "log_stellar_mass": of_each["log_stellar_mass"]
            .median(("chain", "draw"))
            .to_series()
            .round(2),
            "flagged": of_each["photometry_outside"].to_series(),
        }
    )
print(LEGACY)
pd.concat(medians, axis=1)

# %% [markdown]
# ## A catalogue for other programs
#
# Mean, median, 16th and 84th percentile, standard deviation and correlations
# of each galaxy, and whether the model extrapolates, with units, UCDs and
# descriptions: as FITS, Parquet, ECSV or VOTable, by the ending.

# %% tags=["words"]
summaries = summarise(posteriors, mine)
for ending in ("fits", "parquet", "ecsv", "vot"):
    save_summaries(summaries, place / f"summaries.{ending}")
columns_out = ["a_v_median", "a_v_p16", "corr_log_sfr_a_v", "outside_range"]
pd.DataFrame(
    {
        name: (
            str(summaries[name].unit or ""),
            summaries[name].meta["ucd"],
            summaries[name].description,
        )
        for name in columns_out
    },
    index=["unit", "UCD", "description"],
).T

# %% [markdown]
# ## Should you believe the fit?
#
# A posterior answers for any magnitudes. So look back: which magnitudes have
# galaxies of the properties that were drawn? A regression on the training
# galaxies, with their scatter about it, says so. Below, the $u$ magnitude of
# the second galaxy has been spoiled by 0.8 mag. Observed magnitudes fit their
# own posterior better than any others would, so that the shares of held-out
# galaxies, where there are at least 100, say which share is unusually small.

# %% mystnb={"figure": {"caption": "Observed r and colours (dots) against those that 200 draws imply: 68 % and 95 % of these are grey, distances are in half-widths of the 68 %. The second galaxy has a u magnitude 0.8 mag too faint; red: outside 95 %, with the distance in magnitudes, or a galaxy whose fit is not to be believed.", "name": "fig-own-replicated"}, "image": {"alt": "A panel a galaxy: five grey bars with dots for r and four colours; in the second, the dot of u\u2212g lies far outside its bar and is red."}}
spoiled = mine.select(range(n_shown))
spoiled.catalogue.loc[1, "mag_u"] += 0.8
photometry = Survey(whole.catalogue, parameters=whole.parameters)
held_out = photometry.split("validation")
held_out = held_out.select(range(min(200, len(held_out))))
magnitudes_of = MagnitudeModel.fit(photometry.split("train"))
options = {"n_samples": 200, "steps": 12, "progress": False}
_, usual = check_photometry(
    model.infer(held_out, **options), held_out, magnitudes_of
)
replicated, checked = check_photometry(
    model.infer(spoiled, **options),
    spoiled,
    magnitudes_of,
    reference=usual["share_farther"] if len(usual) >= 100 else None,
)
figures.replicated_photometry(replicated, checked, source=galaxies.source)

# %% [markdown]
# ## What lies on your disk is safe
#
# Whatever writes a folder replaces a folder of its own kind, once the new one
# is whole, and touches nothing else.

# %% tags=["words"]
(place / "mydata").mkdir()
(place / "mydata" / "thesis.txt").write_text("years of work", encoding="utf-8")
writers = {
    "a survey over your folder": lambda: mine.save(place / "mydata"),
    "a model over your folder": lambda: model.save(place / "mydata"),
    "a survey into a new folder": lambda: mine.save(place / "new"),
    "a survey over a survey": lambda: mine.save(place / "new"),
    "a model over a survey": lambda: model.save(place / "new"),
    "summaries over summaries": lambda: save_summaries(
        summaries, place / "summaries.fits"
    ),
    "summaries over your table": lambda: save_summaries(
        summaries, place / "a.fits"
    ),
}
tables.trials(writers, lambda _: "written")

# %%
sorted(path.name for path in (place / "mydata").iterdir())

# %% [markdown]
# ## Exercises
#
# **A wrong zero point.** SDSS's own $u$ is 0.04 mag off the AB system. What does
# that do to the posteriors of galaxies whose $u$ was not corrected?

# %% mystnb={"code_prompt_hide": "Answer", "code_prompt_show": "Answer"} tags=["hide-cell"]
off = np.add(galaxies.magnitudes, [0.04, 0, 0, 0, 0])
right, wrong = (
    model.sample(m, n_samples=1000, steps=12)
    for m in (galaxies.magnitudes, off)
)
shift = (wrong.mean(1) - right.mean(1)) / right.std(1)
pd.Series(shift.mean(0).numpy(), PROPERTY_NAMES, name="in half-widths").round(
    2
)

# %% [markdown]
# **Half a redshift.** A photometric redshift is as likely 0.05 as 0.15. Draw the
# posterior of the first galaxy. Why is it not the posterior at 0.10?

# %% mystnb={"code_prompt_hide": "Answer", "code_prompt_show": "Answer"} tags=["hide-cell"]
first = {
    "magnitudes": galaxies.magnitudes[:1],
    "magnitude_errors": galaxies.catalogue[list(MAGNITUDE_ERRORS)][:1],
    "n_samples": 1000,
    "steps": 12,
}
for name, values in {
    "0.05 or 0.15": np.tile([0.05, 0.15], 500),
    "0.10": np.full(1000, 0.10),
}.items():
    mass = told.sample(redshift=values[None], **first)[0, :, 0]
    print(f"{name}: log M⋆ = {mass.mean():.2f}, half-width {mass.std():.2f}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# A distance three times as large makes the same light nearly ten times as
# luminous: two masses a dex apart, of which the mean is neither.
#
# </details>
