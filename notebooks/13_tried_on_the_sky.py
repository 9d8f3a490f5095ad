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
# # Tried on the sky
#
# All models of this book learn from simulated galaxies. This chapter gives
# some of them real ones: SDSS galaxies whose photometry and redshifts come
# with the package kcorrect {cite:p}`Blanton2007`, so that it runs without a
# connection. kcorrect estimates their stellar masses as well, from the same
# fluxes but with its own templates. Two methods may agree and both be wrong;
# where they differ, at least one is.
#
# The models are small: photometry without images, trained on the training
# split of 60,000 simulated galaxies and kept in `data/published/models`. One
# has the redshift as input, which real catalogues have; the other, like the
# models of the paper, has not.
#
# The parameters change which real galaxies are used and how many draws each
# has. With `results made` the chapter trains its models first, at the size
# that the parameters give, and shows what these find; for example, in a
# minute or two,
#
# ```
# papermill notebooks/13_tried_on_the_sky.ipynb out.ipynb -p results made \
#   -p n_galaxies 6000 -p max_epochs 20 -p any_bands False
# ```

# %% tags=["parameters", "hide-input"]
profile = "quick"  # folder of the run: smoke, quick, paper or sdss
run = ""  # name of a rerun: data/runs/PROFILE-RUN
# Of the models: "published", or "made": now, with the values below
results = "published"
any_bands = True  # train the two models of any bands too: eight times longer
n_galaxies = 60000  # simulated galaxies, a tenth each to validate and test
galaxies_seed = 61  # of these galaxies
max_epochs = 36  # passes over them; models of any bands have 25/3 times more
n_real = 5000  # real galaxies read, of 10,000; not in the paper
n_samples = 100  # draws per galaxy; the paper's 1,000
steps = 12  # Runge-Kutta steps; the paper's 100
seed = 1  # of the noise

# %% tags=["hide-input"]
# %matplotlib inline
import numpy as np
import pandas as pd
from myst_nb import glue

from galcfm import Posterior, runs
from galcfm.posterior import LEVEL
from galcfm.survey import Survey
from studies import photometry_models, real_galaxies

folder = runs.open_run("13_tried_on_the_sky", globals())
trained = photometry_models.STUDY.result(
    results, folder, photometry_models.Plan.of(globals())
)
print(trained.origin)
pd.set_option("display.max_colwidth", None)

# %% [markdown]
# ## Real galaxies
#
# `Survey.from_table` takes the table as it is and says why it refuses a row.
# The fluxes are put on the AB system before (−0.04 mag in $u$, 0.02 mag in
# $z$); Galactic extinction is removed with the $E(B-V)$ of each galaxy.

# %% tags=["words"]
bands = ("u", "g", "r", "i", "z")
galaxies = Survey.from_table(
    real_galaxies.real_galaxies().iloc[:n_real],
    {f"mag_{band}": f"flux_{band}" for band in bands}
    | {f"magerr_{band}": f"error_{band}" for band in bands},
    unit="nanomaggy",
    total=True,
    dereddened=False,
)
galaxies.rejected

# %% [markdown]
# Compared are galaxies with $0.02<z<0.2$ that form stars. Without spectra
# that must be read off the colour: $g-r$ in bands shifted to $z=0.1$, below
# the tilted cut of {cite:t}`Zehavi2011`. Some dusty star-forming galaxies
# are lost that way, and some with an active nucleus get in. kcorrect fits
# its five templates to them; its masses, for the initial mass function of
# {cite:t}`Chabrier2003`, are raised by 0.034 dex {cite:p}`Madau2014` to that
# of {cite:t}`Kroupa2001`, and all distances are for $H_0=70$.

# %%
near = (galaxies.redshift > 0.02) & (galaxies.redshift < 0.2)
nearby = galaxies.select(np.flatnonzero(near))
reference = real_galaxies.kcorrect_estimates(nearby)
blue = real_galaxies.is_blue(reference["absolute_r"], reference["g_r"])
print(f"{len(nearby)} galaxies, {blue.sum()} of them star-forming")

# %% [markdown]
# ## Who is out of range?
#
# The models were trained on star-forming galaxies. Of others they should
# say that they do not know them: `Posterior.out_of_range` compares the
# features of a galaxy with those of 5,000 training galaxies and flags what
# lies further out than all but 1 % of held-out simulated galaxies.

# %%
tested = {
    name: Posterior.load(trained.path.parent / "models" / name)
    for name in ("photometry", "photometry_redshift")
}
told = tested["photometry_redshift"]
for name, model in tested.items():
    print("{}: {survey}, {date}".format(name, **model.metadata))
outside = told.out_of_range(nearby.magnitudes, redshift=nearby.redshift)
flag = outside["photometry_outside"].to_numpy()
shares = {"star-forming": flag[blue].mean(), "others": flag[~blue].mean()}
for name, share in shares.items():
    print(f"{name}: {share:.1%} out of range")

# %% mystnb={"figure": {"caption": "Share of real galaxies that are flagged as out of range by the model that has the redshift as input, along the distance in colour from the cut between star-forming galaxies (left of it) and others, along redshift, and along the error of the u magnitude. Dashed: the share of simulated galaxies that is flagged.", "name": "fig-sky-outside"}, "image": {"alt": "Three panels: the share of flagged galaxies, with error bars, against the distance in g\u2212r from the cut, against redshift, and against the error of u; a dashed line marks the share of simulated galaxies."}}
cut = 0.21 - 0.03 * reference["absolute_r"]
real_galaxies.outside_shares(
    flag,
    {
        "$g-r$ from the cut [mag]": reference["g_r"] - cut,
        "redshift": nearby.redshift,
        "error of $u$ [mag]": nearby.catalogue["magerr_u"],
    },
    level=LEVEL,
    source="SDSS",
)

# %% [markdown]
# ## Masses
#
# Bias is the median of our posterior medians less kcorrect's masses, scatter
# half the distance from their 16th to their 84th percentile. Nothing was
# adjusted to masses here. Colours are another matter: the zero points of the
# simulation were fitted to galaxies of this file with $15<r<16.3$, so those
# outside these magnitudes are counted apart.

# %%
chosen = nearby.select(np.flatnonzero(blue))
masses = reference["log_stellar_mass"].to_numpy()[blue]
posteriors = {
    name: model.infer(
        chosen, n_samples=n_samples, steps=steps, seed=seed, progress=False
    )
    for name, model in tested.items()
}
found = {
    name: posterior["log_stellar_mass"].median(("chain", "draw")).to_numpy()
    for name, posterior in posteriors.items()
}
r = chosen.magnitudes[:, 2]
groups = {
    "all": np.ones(len(chosen), dtype=bool),
    "in range": ~flag[blue],
    "in range, not 15 < r < 16.3": ~flag[blue] & ~((r > 15) & (r < 16.3)),
}
compared = {
    (name, group): real_galaxies.compare_masses(
        found[name][rows], masses[rows]
    )
    for name in tested
    for group, rows in groups.items()
}
real_galaxies.masses(compared)

# %% tags=["remove-cell"]
for name, share in shares.items():
    glue(f"outside_{name.replace('-', '_')}", float(share), display=False)
for name in tested:
    for number in ("bias", "scatter"):
        value = compared[name, "in range"][number]
        glue(f"{name}_{number}", value, display=False)

# %% mystnb={"figure": {"caption": "Stellar masses of real star-forming galaxies: posterior medians of models trained on simulated galaxies, less the masses of kcorrect, with the redshift told (left) and from photometry alone (right). Lines and bands are medians and 16 to 84 % in bins.", "name": "fig-sky-masses"}, "image": {"alt": "Two panels, redshift told on the left and photometry alone on the right: points of posterior median less kcorrect's mass against that mass, with a line and a band for their median and spread, about a line at zero."}}
real_galaxies.mass_differences(
    {
        "Redshift as input": found["photometry_redshift"],
        "Photometry alone": found["photometry"],
    },
    masses,
    source="SDSS",
)

# %% [markdown]
# From photometry alone the distance is hardly known, and the posterior falls
# back on the population that the model was trained on, in which galaxies of
# such magnitudes are nearer and lighter: the heavier the galaxy, the further
# its mass is pulled down. With the redshift told that pull is gone, and what
# remains is the difference between two sets of stellar populations. The
# masses of kcorrect are no truth, and no test of what spectra would say.

# %% [markdown]
# ## What the posteriors claim
#
# A posterior also states its width. Were kcorrect's masses the truth and the
# posteriors calibrated, 68 % of them would lie in the central 68 % interval.
# More may: both methods see the same fluxes, so they share errors that the
# interval allows for.

# %%
for name, posterior in posteriors.items():
    draws = posterior["log_stellar_mass"].stack(sample=("chain", "draw"))
    rank = (draws.to_numpy() < masses[:, None]).mean(1)
    within = np.abs(rank[~flag[blue]] - 0.5) < 0.34
    print(f"{name}: {within.mean():.0%} within the 68 % interval")

# %% [markdown]
# No real image can be kept in this book: {doc}`12_is_the_survey_real` compares
# measurements on real cutouts with those on simulated ones.

# %% [markdown]
# ## Exercises
#
# **Whose mass?** A catalogue gives $\log M_\star = 10.50$ for $H_0 = 100$
# km/s/Mpc and the initial mass function of Chabrier. What is that on the scale
# of this book?
#
# <details><summary>Answer</summary>
#
# Distances go as $1/H_0$, and masses as their square: $2\log_{10}(100/70) =
# 0.31$ dex more. Kroupa's function adds 0.034 dex. So 10.84. A third of a dex
# between two catalogues is often no more than this.
#
# </details>
#
# **The price of a redshift.** At given magnitudes, by how much does the mass
# change if a galaxy is at $z = 0.10$ and not at 0.05? How does that compare
# with the pull in the right panel of the masses?
#
# <details><summary>Answer</summary>
#
# The luminosity distance is 2.07 times as large, the luminosity 4.3 times, so
# the mass changes by about 0.63 dex. Photometry alone narrows the redshift by
# colours and by how many galaxies of each kind there are, and what is left of
# that factor is the pull towards the middle of the population.
#
# </details>
#
# **Believe the flag?** Of the star-forming galaxies that are flagged as out of
# range, how many have kcorrect's mass inside the 68 % interval? Is it fewer
# than of the others?

# %% mystnb={"code_prompt_hide": "Answer", "code_prompt_show": "Answer"} tags=["hide-cell"]
for name, posterior in posteriors.items():
    draws = posterior["log_stellar_mass"].stack(sample=("chain", "draw"))
    rank = (draws.to_numpy() < masses[:, None]).mean(1)
    inside = np.abs(rank - 0.5) < 0.34
    for what, rows in (("flagged", flag[blue]), ("others", ~flag[blue])):
        print(f"{name}, {what}: {inside[rows].mean():.0%} of {rows.sum()}")
