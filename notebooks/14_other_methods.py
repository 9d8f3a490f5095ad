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
# # Other methods
#
# The paper sets itself beside seven other ways from galaxies to their
# properties, and runs none of them. Here each is run: on the same simulated
# survey, trained on the same galaxies, tried on the same test galaxies. Of each
# method that learns, three settings are tried on the validation split.
#
# Gains are differences of the exact log-density of the measured properties,
# galaxy by galaxy, from one of this paper's two models. Their errors hold the
# scatter of galaxies and, where there is more than one training, of trainings.
# Pixels are 1.2″ wide, the galaxies those of {doc}`06_what_a_picture_is_worth`
# with all ties.
#
# With `results = "published"` this page shows the stored results. With
# `results = "made"` it trains the methods that the parameter `rows` names, at
# the sizes given below, and shows these instead; a later call adds rows and
# seeds to those that are there. For example, `papermill
# notebooks/14_other_methods.ipynb out.ipynb -p results made -p n_galaxies 2000
# -y "rows: [photometry, npe, boosting]"` takes some minutes on two cores. All
# rows with three seeds take some hours.

# %% tags=["parameters", "hide-input"]
profile = "quick"  # folder of the run: smoke, quick, paper or sdss
run = ""  # name of a rerun: data/runs/PROFILE-RUN
results = "published"  # or "made": now, with the values below, in the run
rows = []  # names of studies.other_methods.ROWS to make; all if none
seeds = [1, 2, 3]  # one training of each row per seed
n_galaxies = 15500  # simulated galaxies
survey_seed = 1  # of the simulated galaxies
validation_fraction = 0.078  # share of galaxies
test_fraction = 0.332  # share of galaxies
recipe = "quick"  # of this paper's models: quick, paper, tuned …
image_crop = 96  # central pixels of 0.4″ kept; the paper's 128
image_bin = 3  # pixels averaged per side; the paper's 1
max_epochs: int = None  # of every network, at most; None: as in its row
photometry_max_epochs: int = None  # of our photometry model; None: recipe's
batch_size: int = None  # galaxies per step; None: as in its row, 64
network = {}  # crop, bin_factor, width, hidden of other methods' networks
n_tries = 3  # settings that are tried of each row
n_means = 2000  # test galaxies of which draws are taken
n_draws = 128  # draws per galaxy
n_divergence = 300  # galaxies for the divergence from the prior
n_exact = 1000  # draws compared with those of the exact posterior
n_spectra = 1024  # spectra per galaxy in densities of the row "spectra"
n_fits = 100  # test galaxies that are fitted by sampling
n_live = 250  # live points of these fits
n_effective = 1000  # effective draws of these fits
n_shown = 3  # test galaxies that are shown
n_shown_draws = 500  # draws of each
processes = 2  # that render pictures, measure and fit them

# %% tags=["hide-input"]
# %matplotlib inline
import numpy as np
import pandas as pd
from myst_nb import glue

from galcfm import paths, runs
from studies import other_methods
from studies.figures import point_gains, present
from studies.frame import paired_gain
from studies.other_methods import figures, tables

folder = runs.open_run("14_other_methods", globals())
plan = other_methods.Plan.of(globals())
found = other_methods.STUDY.result(
    results, folder, plan, rows=rows, seeds=seeds
)
print(found.origin)
known = found.content["rows"]
source = "simulated survey"
pd.set_option("display.max_colwidth", None)

# %% [markdown]
# ## Every method
#
# $\Delta\log p$ and $D_\text{KL}$ are exact, against the prior flow of this
# paper. *Over photometry* and *over photometry and picture* are the gains over
# this paper's two models. Rows with the redshift as input know more than
# either, whatever they do with it.

# %% tags=["full-width"]
tables.every_method(known)

# %% [markdown]
# ## Beside the model that sees the same
#
# *Ahead* and *behind* are by more than two standard errors. Methods that are
# ahead of this paper's would stand at the top.

# %%
tables.verdicts(known)

# %% [markdown]
# ## Accuracy against cost

# %% mystnb={"figure": {"caption": "What each method gains over this paper's photometry model, and the time that 1,000 draws of one simulated galaxy take on one core. Bars are two standard errors, mostly smaller than the points; colours say what a method sees beside photometry. Fits of four properties are held against the same four of the model that sees what they see.", "name": "fig-method-costs"}, "image": {"alt": "Two panels, a row a method, the best at the top. On the left gains: those with the redshift as input stand first, then the image model and its like, then photometry; fits by sampling stand last. On the right times on a logarithmic axis, from less than a millisecond for regression to tens of seconds for fits by sampling."}}
figures.costs(known, source=source)

# %% [markdown]
# ## What each row says
#
# **Is it flow matching, or the picture?** Splines behind this paper's encoder
# {cite:p}`HahnMelchior2022` are {glue:text}`npe_image:+.3f` ±
# {glue:text}`npe_image_error:.3f` nat from the image model; flow matching, when
# it is trained as the splines are, {glue:text}`cold:+.3f` ±
# {glue:text}`cold_error:.3f`. The two ways of inference differ by less than two
# ways of training one of them do. Without the picture flow matching is
# {glue:text}`photometry:+.3f` nat off. It is the picture.
#
# **More inputs beat better methods.** A masked autoregressive flow with the
# inputs of SEDflow {cite:p}`HahnMelchior2022`, which are magnitudes, their
# errors and the redshift, gains {glue:text}`sedflow_photometry:+.2f` nat over
# photometry, more than any picture here. This paper's flow, told the same,
# gains {glue:text}`photometry_told_photometry:+.2f`. On this paper's own inputs the splines
# are {glue:text}`npe_photometry:+.3f` ± {glue:text}`npe_photometry_error:.3f`
# nat from its photometry model.
#
# **Through a spectrum.** Diffusion of the spectrum from picture and photometry,
# then properties from spectra {cite:p}`Doorenbos2024`, is
# {glue:text}`spectra:+.3f` ± {glue:text}`spectra_error:.3f` nat from the image
# model, and {glue:text}`spectra_photometry:+.3f` from photometry. Given each
# galaxy's *true* spectrum, with 0.02 dex of noise, its second step alone has
# {glue:text}`true_spectra:.2f` nat, against {glue:text}`spectra_log_prob:.2f` by
# way of generated ones and {glue:text}`image_log_prob:.2f` of the image model.
# So a spectrum tells far more than picture and magnitudes do, but the detour by
# way of one costs more than the picture brings.
#
# **Rings** {cite:p}`IglesiasNavarro2025` of the JPEG cutout are
# {glue:text}`annuli:+.3f` ± {glue:text}`annuli_error:.3f` nat from the image
# model and {glue:text}`annuli_photometry:+.3f` from photometry; rings of the
# simulator's own pixels are {glue:text}`annuli_stamps:+.3f` from the image
# model. The eight bits of the colours cost nothing that rings could have used.
#
# **Measured morphology**, nine statistics by statmorph
# {cite:p}`RodriguezGomez2019`, for the idea of {cite:t}`Alfonzo2024`:
# {glue:text}`morphology:+.3f` ± {glue:text}`morphology_error:.3f` nat from the
# image model, {glue:text}`morphology_photometry:+.3f` from photometry: nearly
# half of what the image model takes from pictures, and no network sees one.
#
# **Regression.** A residual network on the picture alone
# {cite:p}`WuBoada2019,Alfonzo2024`, as a posterior one normal distribution for
# all galaxies, is {glue:text}`regression:+.2f` nat from the image model, with
# photometry beside it {glue:text}`regression_told:+.2f`. Gradient boosting on
# magnitudes and colours, which nobody should lose to, is
# {glue:text}`boosting_photometry:+.2f` nat from this paper's photometry model.
#
# **Alignment** of pictures and spectra, then a frozen encoder
# {cite:p}`Parker2024`, is {glue:text}`aligned:+.3f` ±
# {glue:text}`aligned_error:.3f` nat from the image model; the same network as
# chance made it {glue:text}`aligned_random:+.3f` ±
# {glue:text}`aligned_random_error:.3f`. The difference is what the alignment
# taught, on 9,000 pairs; that of millions of real galaxies cannot be had here.
#
# **Latents** of an autoencoder of pictures {cite:p}`Siddiqa2025` are
# {glue:text}`latents:+.3f` ± {glue:text}`latents_error:.3f` nat from the image
# model and {glue:text}`latents_photometry:+.3f` ±
# {glue:text}`latents_photometry_error:.3f` from photometry. What rebuilds a
# picture best need not be what tells of stars and dust.
#
# ### What a picture adds to the same splines
#
# Seven rows differ in how the picture is put into numbers, and in nothing else:
# one spline flow reads them, beside the same photometry. What they gain over
# that flow without a picture:

# %% mystnb={"figure": {"caption": "What the picture adds to photometry on simulated galaxies, by what it is turned into before the same spline flow reads it. The reference is that flow without a picture; bars are two standard errors.", "name": "fig-added"}, "image": {"alt": "Seven horizontal bars: the paper's encoder, trained with the flow, adds most, then measured morphology and the network aligned with spectra; rings and latents add less; the random network takes away."}}
read_by_splines = [
    "npe_image",
    "morphology",
    "aligned",
    "annuli",
    "annuli_stamps",
    "latents",
    "aligned_random",
]
table = found.table()
added = {
    row["row"]["label"]: paired_gain(table, name, "npe")
    for name, row in present(known, read_by_splines).items()
    if "npe" in known
}
point_gains(added, source=source, over="splines on photometry")

# %% tags=["remove-cell"]
for name, value in tables.numbers_in_text(known).items():
    glue(name, value, display=False)

# %% [markdown]
# ## Fits by sampling
#
# SED fitting {cite:p}`Conroy2013` learns nothing from the survey: bagpipes'
# galaxies {cite:p}`Carnall2018` under its usual priors, sampled by nautilus
# {cite:p}`Lange2023`, {glue:text}`sed_seconds:.0f` s a galaxy. Stars say
# nothing of the gas, so there are four properties. With the redshift known the
# four are {glue:text}`sed:+.2f` ± {glue:text}`sed_error:.2f` nat from this
# paper's flow that is told redshift and errors; with the redshift free,
# {glue:text}`sed_free:+.2f` ± {glue:text}`sed_free_error:.2f` from the
# photometry model.
#
# With the redshift known the star formation rate is off by
# {glue:text}`sed_log_sfr_bias:+.2f` dex in the mean, and the 95 % intervals hold
# {glue:text}`sed_log_sfr_coverage_95:.0%` of the labels; mass is off by
# {glue:text}`sed_log_stellar_mass_bias:+.2f` dex, with
# {glue:text}`sed_log_stellar_mass_coverage_95:.0%` inside; $D_n(4000)$ by
# {glue:text}`sed_dn4000_bias:+.2f`, with
# {glue:text}`sed_dn4000_coverage_95:.0%` inside. We take that for priors and
# definitions rather than for sampling, though no row here shows it: fits assume
# one delayed exponential, which is not how these galaxies formed, and labels
# are of a fibre and of emission lines. A network trained on the survey has the
# survey's prior and definitions, which are right by construction; on the sky
# nobody's are.

# %% [markdown]
# ## Point estimates
#
# Methods that give a value are judged by how far it is off: the root mean
# square, in dex, in $D_n(4000)$ and in mag. {cite:t}`WuBoada2019` have 0.085
# dex in O/H from pictures of real galaxies; the residual network here, trained
# on a tenth as many and in pixels three times as wide, has
# {glue:text}`regression_oxygen_abundance_rmse:.3f` dex of simulated ones.

# %%
tables.by_property(known, "rmse")

# %% [markdown]
# The Wasserstein distance of means, as in the paper's Table 2, rewards who
# knows more ({doc}`06_what_a_picture_is_worth`):

# %%
tables.by_property(known, "wasserstein", 4)

# %% [markdown]
# `tables.all_metrics(known)` has all metrics of all properties, the bias and the
# scatter of each method among them.

# %% [markdown]
# ## Honesty

# %% mystnb={"figure": {"caption": "Share of the measured properties of simulated test galaxies inside each method's 68 and 95 % intervals; lines: what it should be. Gradient boosting is shown with its split-conformal intervals, SED fits with label noise added to their draws.", "name": "fig-method-coverage"}, "image": {"alt": "Two panels of coloured points, a row a method: nearly all lie at the lines of 68 and 95 %; those of SED fitting are spread far to the left of them."}}
figures.coverage(known, source=source)

# %% [markdown]
# ## The ceiling of photometry
#
# For some of the test galaxies the exact posterior of five magnitudes is known
# ({doc}`10_exact_posteriors`). No method that sees magnitudes alone can do
# better in the mean. *Told apart* is how often a classifier knows a method's
# draws from exact ones; 50 % is chance.

# %%
tables.exact_gaps(known)

# %% [markdown]
# ## Three galaxies, by all

# %% mystnb={"figure": {"caption": "Medians, 68 and 95 % intervals of the first three simulated test galaxies by each method; dashed: the measured value. Colours say what a method sees.", "name": "fig-method-intervals"}, "image": {"alt": "Three rows of five panels; in each a horizontal interval a method, coloured by what it sees, about a dashed line at the measured value. Intervals of rows with the redshift as input are the narrowest in mass."}}
draws = found.table("_draws.parquet")
truth = draws[draws["row"] == other_methods.LABEL].set_index("object_id")
shown = draws[draws["row"].isin(known)]
figures.intervals(shown, known, truth, source=source)

# %% mystnb={"figure": {"caption": "The first of these simulated galaxies: each line holds 68 % of one method's draws; dashed: the measured values.", "name": "fig-method-corner"}, "image": {"alt": "Corner plot of five properties with one closed line per method, coloured by what it sees; most lines lie on each other, those of methods with the redshift as input enclose less."}}
figures.corner(shown, known, truth, source=source)

# %% [markdown]
# ## What is simplified
#
# No row is the other paper's code, data or size. What is left out:

# %% tags=["words"]
tables.simplifications(known)

# %% [markdown]
# ## A method of your own
#
# A method is a class with `fit`, `sample` and, where it can, `log_prob`. One
# that gives one value per property inherits the rest: a normal distribution
# about it, as wide as its errors on validation. Below is the mean of the
# nearest neighbours in colour and magnitude. A class in a file of
# `notebooks/studies/methods`, with a row in
# `notebooks/studies/other_methods/rows.yaml`, stands in the tables above after
# `results = "made"`. Where this page is made, the neighbours are fitted and
# evaluated on the same survey.

# %%
example = paths.repository_root() / "notebooks/studies/methods/neighbours.py"
print(example.read_text(encoding="utf-8"))

# %%
if results != "published":
    from studies.methods import Neighbours, labelled
    from studies.methods.evaluation import evaluate

    galaxies = other_methods.survey_of(plan)
    mine = Neighbours().fit(galaxies)
    test = labelled(galaxies, "test")
    _, judged = evaluate(mine, test, n_means=500, n_draws=100)
    shown_of = ["rmse", "coverage_68", "coverage_95"]
    display(pd.DataFrame(judged["properties"]).loc[shown_of].round(3))

# %% [markdown]
# ## Exercises
#
# **Neighbours in more colours.** Give `Neighbours` the redshift
# (`photometry(galaxies, redshift=True)`), and make this page with 2,000
# galaxies. Which property gains most, and why?
#
# <details><summary>Answer</summary>
#
# Mass, where there are neighbours enough: it is a luminosity, and the
# magnitude alone leaves the distance open. The features are not standardised,
# so that of a redshift, which is small, hardly counts as a distance: dividing
# each by its spread helps further.
#
# </details>
#
# **What a mean cannot say.** A point method's normal distribution is the same
# for all galaxies. By how much would its mean log-density rise, in one
# dimension, were half of the galaxies known to 0.1 and half to 0.3, and were
# it told which?

# %% mystnb={"code_prompt_hide": "Answer", "code_prompt_show": "Answer"} tags=["hide-cell"]
widths = np.array([0.1, 0.3])
common = np.sqrt((widths**2).mean())
print(f"{np.log(common) - np.log(widths).mean():.2f} nat")
