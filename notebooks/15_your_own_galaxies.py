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
# Twenty lines turn a table of magnitudes, with or without cutouts, into
# posteriors, a catalogue and flags. The chapter then shows what a missing band
# costs, how a redshift known as $p(z)$ goes in, and how to see that a model
# does not know your galaxies.
#
# {doc}`../taken_and_refused` lists the table formats, units and cutouts that
# are taken, and what is refused and why; {doc}`../data` defines all columns.
# Below, simulated test galaxies play the part of yours, so that the answers
# are known.

# %% mystnb={"code_prompt_show": "Show the parameters", "code_prompt_hide": "Hide the parameters"} tags=["parameters", "hide-input"]
profile = "quick"  # folder of the run: smoke, quick, paper or sdss
run = ""  # name of a rerun: data/runs/PROFILE-RUN
survey = "quick"  # folder of the survey: data/surveys/SURVEY
n_shown = 6  # test galaxies that play the part of yours; not in the paper
# Models of sets of bands: "published": stored, whatever the values below;
# "made": now, with them
results = "published"
# Sets of bands to make
sets = ["ugriz", "griz", "uriz", "ugiz", "ugrz", "ugri", "grz", "gri"]
n_galaxies = 60000  # simulated galaxies, a tenth each to validate and test
max_epochs = 36  # passes over them; a model of any bands has 25/3 times more
n_draws = 400  # draws of each posterior, for coverage
n_drawn = 1000  # test galaxies for coverage
n_exact = 100  # galaxies with exact posteriors; 0 leaves them out
sampler = {}  # changes to their sampler, e.g. {"n_particles": 1000}
results_cards = "published"  # or "made": calibration of all published models
n_measured = 1200  # simulated galaxies on which each model is measured
n_book = 12000  # galaxies of the survey whose card is written

# %% mystnb={"code_prompt_show": "Show the imports", "code_prompt_hide": "Hide the imports"} tags=["hide-input"]
# %matplotlib inline
import tempfile
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
from myst_nb import glue

from galcfm import Posterior, Survey, figures, paths, runs
from galcfm.posterior import redshift_quantiles
from galcfm.posterior.replicated import MagnitudeModel, check_photometry
from galcfm.posterior.summaries import save_summaries, summarise
from galcfm.properties import (
    BANDS,
    MAGNITUDE_ERRORS,
    MAGNITUDES,
    PROPERTIES,
    PROPERTY_NAMES,
)
from galcfm.survey.images import encode_jpeg
from studies import cards, missing_bands
from studies.redshifts import photometric_redshifts

folder = runs.open_run("15_your_own_galaxies", globals())
whole = Survey.load(paths.survey_folder(survey))
test = whole.split("test")
galaxies = test.select(range(n_shown))
place = Path(tempfile.mkdtemp())
(place / "my_cutouts").mkdir()
for name, image in zip(galaxies.object_id, galaxies.images, strict=True):
    (place / "my_cutouts" / f"{name}.jpg").write_bytes(encode_jpeg(image))
fluxes = 10 ** (0.4 * (22.5 - galaxies.magnitudes))
own = pd.DataFrame(fluxes, columns=[f"FLUX_{band}" for band in BANDS])
own.insert(0, "ID", galaxies.object_id)
own.to_parquet(place / "my_galaxies.parquet")
units = [p.symbol_with_unit for p in PROPERTIES]

# %% [markdown]
# ## From a table to posteriors
#
# `my_galaxies.parquet` has an identifier and five fluxes per row; the folder
# `my_cutouts` has one JPEG per galaxy, named by the identifier. You name the
# columns and declare what a table cannot say: the unit, that the fluxes are
# *total* fluxes, and whether Galactic extinction has been removed.

# %%
columns = {f"mag_{band}": f"FLUX_{band}" for band in BANDS}
columns["object_id"] = "ID"
mine = Survey.from_table(
    place / "my_galaxies.parquet",
    columns,
    unit="nanomaggy",
    total=True,
    dereddened=True,
    cutouts=place / "my_cutouts",
    pixel_scale=0.396,
)
print(f"{len(mine)} galaxies; rejected rows: {len(mine.rejected)}")

model = Posterior.load("image")
posteriors = model.infer(mine, n_samples=1000, steps=12, progress=False)
posteriors.to_netcdf(place / "my_posteriors.nc")

catalogue = summarise(posteriors, mine)
save_summaries(catalogue, place / "my_catalogue.fits")
shown = catalogue.to_pandas().set_index("object_id").rename_axis(None)
shown.filter(regex="log_stellar_mass_(median|p16|p84)|outside").round(2)

# %% [markdown]
# - `mine.rejected` lists each row that could not be used, with the reason. No
#   row is repaired.
# - `my_posteriors.nc` holds all draws; ArviZ reads it
#   (`arviz.from_netcdf`).
# - `my_catalogue.fits` has one row per galaxy: mean, median, 16th and 84th
#   percentile, standard deviation and correlations of the five properties, with
#   units and UCDs. Parquet, ECSV and VOTable are chosen by the ending.
# - `outside_range` flags galaxies unlike those that the model was trained on.
#   Do not use their posteriors.
#
# Without cutouts, leave out `cutouts` and `pixel_scale` and load
# `"photometry"`. For tables of SDSS, the NASA-Sloan Atlas and the Legacy
# Surveys, `galcfm.survey.conventions` has the arguments of `from_table`.
# Arrays go straight into a model: `model.sample(magnitudes, images)` returns
# draws of shape (galaxies, draws, properties), `model.log_prob(theta,
# magnitudes, images)` exact log-densities.

# %% mystnb={"figure": {"caption": "Posteriors of the first galaxy by the published image model (from the twenty lines above) and the published photometry model. Lines: the values that its survey has measured.", "name": "fig-own-corner"}, "image": {"alt": "Corner plot of the five properties of one galaxy under both models: histograms on the diagonal, contours below, lines at the measured values."}} tags=["hide-input"]
photometry = Posterior.load("photometry")
posteriors_of = {
    "photometry": photometry.infer(mine, steps=12, progress=False),
    "image": posteriors,
}
figures.galaxy_corner(
    galaxies.catalogue, posteriors_of, galaxy=0, source=galaxies.source
)

# %% [markdown]
# ## Which model for which data
#
# Seven models are published, all trained on simulated galaxies, all loaded by
# name. The table compares five of them on the same test galaxies: the mean
# log-density of the measured values (higher is better), and the mean width of
# the posteriors. Their trainings differ, so small differences mean little. An
# image adds
# {glue:text}`06_what_a_picture_is_worth.ipynb::gain_redshift_paper_size:.3f` ±
# {glue:text}`06_what_a_picture_is_worth.ipynb::gain_redshift_paper_size_error:.3f`
# nat to magnitudes and a redshift when both models are trained alike.

# %% tags=["hide-input"]
some = test.select(range(min(200, len(test))))
five = ("photometry", "any_bands", "photometry_redshift")
five += ("image", "image_redshift")
known_by = {}
for name in five:
    known = Posterior.load(name)
    condition = known.encode_survey(some)
    theta = known.sample_from(condition, some.object_id, 400, 12, 0)
    log_p = known.log_prob_from(some.properties, condition, 24)
    widths = dict(zip(units, theta.std(1).mean(0).tolist(), strict=True))
    known_by[name] = {"log p [nat]": float(log_p.mean())} | widths
pd.DataFrame(known_by).T.round(3).rename_axis("published model", axis=1)

# %% tags=["remove-cell"]
of_models = cards.find(results_cards, folder, cards.Plan.of(globals()))
for name in ("photometry", "any_bands"):
    evaluation = of_models.content["models"][name]
    glue(f"{name}_log_prob", float(evaluation["log_prob"]), display=False)
glue("n_measured", int(evaluation["n"]), display=False)

# %% [markdown]
# ## Missing bands and upper limits
#
# The model `any_bands` was trained with bands hidden at random. With
# `missing_bands=True` a magnitude that is NaN is missing, and one whose error
# is infinite is an upper limit to the flux. Below is one galaxy four times. The
# posteriors of mass and SFR widen with each band that is lost.

# %%
ab = {"unit": "AB", "total": True, "dereddened": True}
gaps = galaxies.catalogue.iloc[[0] * 4].reset_index(drop=True)
gaps["object_id"] = ["u g r i z", "g r i z, limit in u", "g r i z", "g r z"]
gaps.loc[1, ["mag_u", "magerr_u"]] = gaps.loc[0, "mag_u"] - 0.1, np.inf
gaps.loc[[2, 3], ["mag_u", "magerr_u"]] = np.nan
gaps.loc[3, ["mag_i", "magerr_i"]] = np.nan
gaps = gaps[["object_id", *MAGNITUDES, *MAGNITUDE_ERRORS]]

any_bands = Posterior.load("any_bands")
with_gaps = Survey.from_table(gaps, missing_bands=True, **ab)
draws = any_bands.infer(with_gaps, n_samples=4000, steps=12, progress=False)
widths = draws.std(("chain", "draw")).to_dataframe()[list(PROPERTY_NAMES)]
widths = widths.set_axis(units, axis=1).rename_axis(None).round(3)
widths.rename_axis("posterior width", axis=1)

# %% [markdown]
# One model serves all sets of bands: {numref}`fig-own-bands` compares it with
# models trained for one set each and with exact posteriors. The dedicated
# models have the size and training of the published photometry model, while
# `any_bands` is wider and was trained several times longer; zero means that it
# replaces them. Its densities are higher than those of the photometry model
# even with all bands ({glue:text}`any_bands_log_prob:.2f` against
# {glue:text}`photometry_log_prob:.2f` nat for {glue:text}`n_measured:,d`
# simulated galaxies). It also takes magnitude errors, which depend on the size
# of the galaxy; we suspect that most of the difference comes from them. The
# errors must therefore be photon noise like that of SDSS.

# %% mystnb={"figure": {"caption": "The model any_bands on simulated galaxies that it has not seen. Left: its mean log-density of the measured values, minus that of a model trained for these bands alone; and that of a model of any bands without errors, minus that of the exact posterior. Bars are 95 % intervals, grey is \u00b10.05 nat. Right: share of the measured values inside its 95 % intervals; grey is what counting allows.", "name": "fig-own-bands"}, "image": {"alt": "Eight rows, one per set of bands. Left panel: nearly all differences lie within 0.05 nat of zero. Right panel: five markers per row, one per property, all near 0.95."}} tags=["hide-input"]
bands = missing_bands.find(results, folder, missing_bands.Plan.of(globals()))
missing_bands.draw(bands.content, source="simulated survey")

# %% [markdown]
# ## A redshift, exact or as p(z)
#
# `any_bands_redshift` takes a redshift as further input. If you have a
# distribution instead, the posterior is the mean over it: pass one equally
# likely redshift per draw, which `redshift_quantiles` gives.
#
# Your $p(z)$ must contain *everything* known about the redshift, this
# photometry included. The table shows why, for Gaussians of width 0.02 about
# the true redshift. Used alone, such a $p(z)$ widens the posterior of mass
# beyond the posterior without any redshift. Mass scales with the square of the
# distance, so $\sigma(\log M_\star) \approx 0.87\,\sigma_z/z$ for nearby
# galaxies, and magnitudes with their errors already give the redshift better
# than to 0.02: a small network reaches $\sigma_z =$
# {glue:text}`own_scatter:.3f` on average, or $\sigma_z/z =$
# {glue:text}`own_relative:.2f`. Its $p(z)$ nearly gives back the posterior
# without a redshift; multiplied by the Gaussian, it gives a narrower one.

# %%
told = Posterior.load("any_bands_redshift")
few = some.select(range(min(100, len(some))))
seen = {
    "magnitudes": few.magnitudes,
    "magnitude_errors": few.catalogue[list(MAGNITUDE_ERRORS)],
    "n_samples": 200,
    "steps": 12,
}
z, grid = few.redshift, np.linspace(0.02, 0.3, 561)
photometric = photometric_redshifts(whole, few, grid)
gaussian = -0.5 * ((grid - z[:, None]) / 0.02) ** 2
log_densities = {
    "p(z) from the photometry": photometric,
    "Gaussian of width 0.02": gaussian,
    "product of both": photometric + gaussian,
}
found = {"no redshift": any_bands.sample(**seen)}
for name, log_density in log_densities.items():
    density = np.exp(log_density - log_density.max(1, keepdims=True))
    redshifts = redshift_quantiles(grid, density, 200)
    found[name] = told.sample(redshift=redshifts, **seen)
found["spectroscopic redshift"] = told.sample(redshift=z, **seen)
widths = [theta.std(1).mean(0).numpy() for theta in found.values()]
widths = pd.DataFrame(widths, found, units).round(3)
widths.rename_axis("mean width", axis=1)

# %% tags=["remove-cell"]
photometric = np.exp(photometric)
mean = (photometric * grid).sum(1) / photometric.sum(1)
square = (photometric * (grid - mean[:, None]) ** 2).sum(1)
own_scatter = np.sqrt(square / photometric.sum(1))
glue("own_scatter", float(own_scatter.mean()), display=False)
glue("own_relative", float((own_scatter / mean).mean()), display=False)

# %% [markdown]
# ## Does the model know your galaxies?
#
# A network answers for any input. Each model says which galaxies it knows:

# %%
print(textwrap.fill(model.metadata["knows"], 76))

# %% [markdown]
# Three checks for your galaxies:
#
# 1. `outside_range`, above, compares magnitudes, errors and cutouts with those
#    of the training galaxies, and flags galaxies that look quiescent. It finds
#    most quiescent galaxies, not all, so select star-forming galaxies first if
#    you can. Fluxes of a deeper survey, such as the Legacy Surveys, are
#    flagged for their errors: below are the galaxies in $g$, $r$ and $z$ with
#    SDSS's errors and with a tenth of them. Such a survey needs models trained
#    through its own filters.
# 2. `check_photometry` asks which magnitudes galaxies with the drawn properties
#    would have ({numref}`fig-own-replicated`).
# 3. Compare with spectra, where you have some. All models here were trained on
#    simulated galaxies: they are for learning the method, not for measuring
#    real ones ({doc}`../limitations`).

# %%
deeper = gaps.iloc[[0] * n_shown].reset_index(drop=True)
deeper[list(MAGNITUDES)] = galaxies.magnitudes
deeper["object_id"] = galaxies.object_id
deeper[["mag_u", "mag_i", "magerr_u", "magerr_i"]] = np.nan
flagged = {}
for name, share in (("SDSS's errors", 1.0), ("a tenth of them", 0.1)):
    errors = share * galaxies.catalogue[list(MAGNITUDE_ERRORS)]
    deeper[["magerr_g", "magerr_r", "magerr_z"]] = errors.iloc[:, [1, 2, 4]]
    taken = Survey.from_table(deeper, missing_bands=True, **ab)
    of_each = any_bands.infer(taken, steps=12, progress=False)
    outside = of_each["photometry_outside"].to_series()
    flagged[name] = f"{outside.sum()} of {len(outside)} flagged"
pd.Series(flagged).to_frame("any_bands, g r z")

# %% [markdown]
# For the second check we spoil the $u$ magnitude of the second galaxy by 0.8
# mag. A regression on the training galaxies, with its scatter, gives the
# magnitudes that the draws imply. The shares of held-out galaxies, where there
# are at least 100, say how small a share is unusual.

# %% mystnb={"figure": {"caption": "Observed $r$ and colours (dots) against those that 200 draws imply (grey: 68 % and 95 %), in units of half the 68 % interval. The $u$ magnitude of the second galaxy has been spoiled by 0.8 mag. Red: outside 95 %, with the distance in magnitudes, or a galaxy whose fit should not be trusted.", "name": "fig-own-replicated"}, "image": {"alt": "One panel per galaxy with five grey bars and dots for r and four colours. In the second panel the dot of u\u2212g lies far outside its bar and is red."}} tags=["hide-input"]
spoiled = mine.select(range(n_shown))
spoiled.catalogue.loc[1, "mag_u"] += 0.8
without_images = Survey(whole.catalogue, parameters=whole.parameters)
held_out = without_images.split("validation")
held_out = held_out.select(range(min(200, len(held_out))))
magnitudes_of = MagnitudeModel.fit(without_images.split("train"))
options = {"n_samples": 200, "steps": 12, "progress": False}
_, usual = check_photometry(
    photometry.infer(held_out, **options), held_out, magnitudes_of
)
replicated, checked = check_photometry(
    photometry.infer(spoiled, **options),
    spoiled,
    magnitudes_of,
    reference=usual["share_farther"] if len(usual) >= 100 else None,
)
figures.replicated_photometry(replicated, checked, source=galaxies.source)

# %% [markdown]
# ## Many galaxies, from the shell
#
# One command infers a catalogue of any size, and resumes where it was stopped:
#
# ```bash
# galcfm infer "galaxies/*.parquet" --model photometry --out posteriors \
#   --unit AB --total --dereddened --workers 2
# galcfm show posteriors
# ```
#
# {doc}`17_surveys_past_one_machine` shows it at work.
#
# ## What to take away
#
# - Three calls lead from a table to a catalogue: `Survey.from_table`,
#   `Posterior.load(...).infer`, `summarise`.
# - Missing bands, limits and a $p(z)$ each have a published model; a $p(z)$ must
#   include the photometry itself.
# - Read `rejected`, `outside_range` and the replicated photometry before you
#   believe a posterior.

# %% [markdown]
# ## Exercises
#
# **A wrong zero point.** The $u$ of SDSS is 0.04 mag off the AB system. What does
# this do to the posteriors of galaxies whose $u$ was not corrected?

# %% mystnb={"code_prompt_hide": "Answer", "code_prompt_show": "Answer"} tags=["hide-cell"]
off = np.add(galaxies.magnitudes, [0.04, 0, 0, 0, 0])
right, wrong = (
    photometry.sample(m, n_samples=1000, steps=12)
    for m in (galaxies.magnitudes, off)
)
shift = (wrong.mean(1) - right.mean(1)) / right.std(1)
moved = pd.Series(shift.mean(0).numpy(), PROPERTY_NAMES).round(2)
moved.to_frame("mean shift [posterior widths]")

# %% [markdown]
# **Half a redshift.** A photometric redshift is either 0.05 or 0.15, with equal
# probability. Draw the posterior of the first galaxy. Why is it not the
# posterior at 0.10?

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
    print(f"{name}: log M⋆ = {mass.mean():.2f} ± {mass.std():.2f} dex")

# %% [markdown]
# <details><summary>Answer</summary>
#
# A distance three times as large makes the same light nearly ten times as
# luminous. The posterior has two peaks about one dex apart, and the mean is near
# neither.
#
# </details>
