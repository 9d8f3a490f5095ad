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
# # The exact posterior
#
# How good could any method be that sees five magnitudes and nothing else? For
# real galaxies nobody knows. For the simulated survey the answer can be
# computed: the simulator is its own prior, and the noise of its photometry is
# known. This chapter computes the exact posterior of some galaxies of the
# test split, compares the photometry flow with it, and asks how much of what
# an image adds photometry could have had.
#
# The chapter reads stored results. With `results = "made"` it computes them
# now: `n_galaxies` sets how many galaxies are compared, and the parameters
# below it how well the emulator, the particles and the second flow are
# resolved. For example, in a few minutes:
#
#     papermill notebooks/10_exact_posteriors.ipynb out.ipynb \
#         -p results made -p n_galaxies 10 -p n_bank 30000 -p n_rows 20000
#
# With the published values it takes 25 minutes on one core.

# %% tags=["parameters", "hide-input"]
profile = "quick"  # folder of the run: smoke, quick, paper or sdss
run = ""  # name of a rerun: data/runs/PROFILE-RUN
survey = "quick"  # folder of the survey: data/surveys/SURVEY
results = "published"  # or "made": now, as below, into the run's folder
n_galaxies = 100  # test galaxies whose exact posterior is computed
n_runs = 2  # independent runs of the sampler per galaxy, at least 2
n_particles = 4000  # particles of a run
moves = 6  # steps of the particles at each power of the likelihood
last_moves = 30  # steps at power 1
kept = 2  # times that particles are kept, over the later half of these
n_bank = 300000  # galaxies of the prior that the emulator learns from
emulator_steps = 5000  # training steps of the emulator
n_rows = 220000  # galaxies that the second flow is trained on
many_epochs = 12  # passes over them
n_draws = 1000  # draws from each posterior
# The simulated survey of the galaxies, by default that of the profile quick
simulated = {"n_galaxies": 12000, "seed": 1, "validation": 0.1, "test": 0.15}
recipe = {}  # changes to the recipe "quick" of the photometry model
seed = 7  # seed of everything

# %% tags=["hide-input"]
# %matplotlib inline
import pandas as pd
from myst_nb import glue

from galcfm import runs
from galcfm.stored_posteriors import load_densities
from studies import exact
from studies.exact import figures
from studies.realism import image_controls

folder = runs.open_run("10_exact_posteriors", globals())
result = exact.STUDY.result(results, folder, exact.Plan.of(globals()))
numbers, table = result.content, result.table()
draws = pd.read_parquet(result.path.with_name(exact.DRAWS))
controls = image_controls.STUDY.read().content
source = "simulated survey"
n_book, n_many = (numbers["trained_on"][name] for name in ("book", "many"))
names = {
    "exact": "exact posterior",
    "book": f"flow, {n_book:,} galaxies",
    "many": f"flow, {n_many:,} galaxies",
}
print(result.origin)

# %% [markdown]
# ## How it is computed
#
# Everything that the simulator draws at random on the way to a galaxy's light
# (redshift, mass, star formation, metals, dust, inclination and so on) is
# handed to it as a vector $x$ of standard normal numbers instead. So the
# prior is $\mathcal N(0, I)$, without a second copy of the simulator, and the
# likelihood is the noise: normal in each magnitude, with a standard deviation
# that depends on the galaxy. The rule of what counts as star-forming is part
# of the prior. The limit in $r$ is not: it is on the observed magnitude, which
# passed. Redshift is unknown, as it is to the flow.
#
# Tempered sequential Monte Carlo {cite:p}`DelMoral2006` draws particles, and
# since a hundred thousand spectra a galaxy would be slow, it searches with an
# emulator, a small network that imitates the simulator's photometry. The
# simulator judges: each last particle is simulated and weighted with the ratio
# of the two likelihoods, so an error of the emulator costs particles, not
# truth.
#
# The flow learns *measured* properties, whose errors are known, and its path
# blurs them by another $\sigma = 0.05$ standard deviations. What it should
# find is therefore the exact posterior blurred by a normal kernel $K$,
#
# $$p(\theta_* \mid D) = \sum_i w_i K(\theta_* - \theta_i),$$
#
# and both are judged at the measured properties $\theta_*$ of each galaxy.

# %% [markdown]
# ## Can it be trusted?
#
# Two independent runs a galaxy, each half of all particles; what both say
# less what one says, because the logarithm of a mean of few particles is too
# low on average; and importance sampling from the prior, with neither sampler
# nor emulator, for the galaxies of which the prior has enough examples.
# Particles of one run share ancestors, so the runs differ by more than their
# effective numbers suggest, and it is this difference that counts.

# %%
figures.check_table(numbers)

# %% [markdown]
# ## The flow beside it
#
# The book's photometry model, trained as in the second chapter, and the same
# network trained on many more galaxies, catalogue only. What the second gains
# on the first is what finite data cost; what it lacks to the exact posterior
# is the model's own error.

# %% mystnb={"figure": {"caption": "Posteriors of four galaxies of the simulated survey given five magnitudes: the exact one, and two flows. A flow that is right follows the grey histogram; the line is the measured value.", "name": "fig-exact-marginals"}, "image": {"alt": "A row a galaxy, a column a property: the exact posterior as a grey histogram, two flows as outlines that follow it, and a line at the measured value."}}
figures.marginals(draws, table, names, source=source)

# %% mystnb={"figure": {"caption": "Log-density at the measured properties, exact less flow, for each simulated galaxy: against the exact one (left; values beyond the frame lie near its edge) and as a histogram (right).", "name": "fig-exact-gaps"}, "image": {"alt": "On the left a scatter plot of exact less flow against the exact log-density, about a line at zero; on the right histograms of these differences for the two flows, centred near zero."}}
figures.gaps(table, names, source=source)

# %%
figures.gap_table(numbers, names)

# %% tags=["remove-cell"]
gap = numbers["extrapolated_gap"]["book"]
glue("exact_gap", gap["mean"], display=False)
glue("exact_gap_error", gap["standard_error"], display=False)
finite = numbers["finite_data"]
glue("finite_data", finite["mean"], display=False)
glue("finite_data_error", finite["standard_error"], display=False)
widths = [
    p["width_ratio"]["book"]["mean"] for p in numbers["properties"].values()
]
glue("narrowest", min(widths), display=False)
glue("widest", max(widths), display=False)
for name, accuracy in numbers["c2st"].items():
    glue(f"c2st_{name}", accuracy["mean"], display=False)
glue("n_exact", float(numbers["n_galaxies"]), display=False)

# %% [markdown]
# On these {glue:text}`n_exact:.0f` galaxies the one training that is the
# book's photometry model is close to exact: its mean log-density lies
# {glue:text}`exact_gap:.2f` ± {glue:text}`exact_gap_error:.2f` nat below, the
# cost of finite particles included, which halves when the particles double:
# the column *extrapolated* adds once more what both runs have over one.
# Training on more than twenty times as many galaxies changes the flow's mean by
# {glue:text}`finite_data:+.2f` ± {glue:text}`finite_data_error:.2f` nat on
# these galaxies; on the many more of {doc}`09_calibration` it is seen that
# finite data cost a few hundredths of a nat, about as much as the whole gap.
# What is left to the network itself is less than the error of the gap. The
# widths of the book's flow are {glue:text}`narrowest:.2f` to
# {glue:text}`widest:.2f` times the exact ones, property by property.
#
# The classifier two-sample test {cite:p}`LopezPaz2017` asks how often a
# classifier tells a draw of the flow from an exact one: 0.5 is guessing. The
# row of the exact posterior says how often it tells the two runs apart, which
# a sampler without error would bring to 0.5: another run is told from a run
# with the accuracy {glue:text}`c2st_exact:.3f`, the flows with
# {glue:text}`c2st_book:.3f` and {glue:text}`c2st_many:.3f`.

# %% [markdown]
# ## What an image adds
#
# The image model of this run has another log-density at the measured
# properties than its photometry model. Could a better photometric method have
# had some of that gain? On average no more than the gap between the exact
# posterior and the flow, which is known to its standard error.

# %%
densities = load_densities(folder / "densities.npz")
image_gain = (
    densities["image"].posterior_truth
    - densities["photometry"].posterior_truth
).mean()
pd.Series(
    {
        "image over photometry, this run": image_gain,
        "exact over flow, photometry": gap["mean"],
        "its standard error": gap["standard_error"],
    },
    name="mean log p [nat]",
).to_frame().round(3)

# %% [markdown]
# ## How much of each property is there
#
# Information on a property is the mean gain in its log-density over the
# prior. The last column of the table is what knowing the true value would give:
# the errors of the measured properties allow no more. The galaxies are the
# same in all columns, so columns differ by far less than their errors.

# %%
figures.information_table(numbers)

# %% mystnb={"figure": {"caption": "Information on A_V in the simulated survey: by photometry exactly, by the flows, and with the inclination beside it. No method can pass the dashed line, because A_V is measured with an error. Bars are two standard errors.", "name": "fig-exact-dust"}, "image": {"alt": "Four horizontal bars with error bars, in nat: the exact posterior, two flows, and the exact posterior with the inclination known; a dashed line on the right marks what the true value would tell."}}
dust = numbers["properties"]["a_v"]["information"]
inclination = controls["experiments"]["inclination"]
information = {
    "exact posterior, photometry": dust["exact"],
    names["book"]: dust["book"],
    names["many"]: dust["many"],
    "exact posterior and true inclination": {
        "mean": dust["exact"]["mean"] + inclination["gain"],
        "standard_error": dust["exact"]["standard_error"],
    },
    "true value known": dust["known"],
}
figures.information_bars(
    information, "$A_V$", ceiling="true value known", source=source
)

# %% [markdown]
# In this survey five magnitudes hold {glue:text}`a_v_share:.0f` % of all that
# can be known of a measured $A_V$, and the flow has
# {glue:text}`a_v_flow_share:.0f` %. So that a model recovers $A_V$ worse than
# other properties need not be the model: here dust is confused with age and
# metals, and the measured value has an error of more than half of the prior's
# spread.
# Knowing the inclination as well adds {glue:text}`inclination_gain:.2f` nat
# (the bar is the sum of the exact information and of the gain in
# {doc}`12_is_the_survey_real`, where it was measured for a flow and on other
# galaxies), so an encoder has little to find in inclination. That is the tie
# of dust to inclination which one published relation makes in the simulation.
# Dust lanes, gradients and whatever else ties the look of galaxies to their
# dust come on top.

# %% tags=["remove-cell"]
glue("a_v_share", 100 * dust["exact"]["mean"] / dust["known"]["mean"])
glue("a_v_flow_share", 100 * dust["book"]["mean"] / dust["known"]["mean"])
glue("inclination_gain", inclination["gain"])

# %% [markdown]
# ## Exercises
#
# **Better than exact?** In the second figure the flow gives some galaxies a
# higher density than the exact posterior does. Is that an error?
#
# <details><summary>Answer</summary>
#
# No. For one galaxy any density may win, by luck: a narrower or shifted one
# that happens to have its peak where the label fell. Averaged over galaxies of
# the population the exact posterior cannot be beaten, as the mean of $\log p -
# \log q$ is a Kullback-Leibler divergence, which is never negative. That
# average is known to its error of finite galaxies and finite particles.
#
# </details>
#
# **The ceiling.** A property has the spread $\tau$ in the population, and its
# label a Gaussian error $e$. How much information on the label is there at
# most? What follows for $e = \tau$?
#
# <details><summary>Answer</summary>
#
# The label has the variance $\tau^2 + e^2$. Knowing the true value leaves
# $e^2$, so there are at most $\tfrac12 \ln(1 + \tau^2 / e^2)$ nat; for $e =
# \tau$ that is 0.35 nat, however good the data. A model can look poor because
# its label is.
#
# </details>
#
# **Count them.** For what share of the galaxies does the book's flow have a
# higher density at the label than the exact posterior?

# %% mystnb={"code_prompt_hide": "Answer", "code_prompt_show": "Answer"} tags=["hide-cell"]
share = (table["book"] > table["exact"]).mean()
print(f"{share:.0%} of {len(table)} galaxies")
