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
# No method with five magnitudes as input can do better than the exact
# posterior. For the simulated survey it can be computed, because the simulator
# is its own prior and its noise is known. On {glue:text}`n_exact:.0f` test
# galaxies the photometry model reaches it: its mean log-density lies
# {glue:text}`exact_gap:.2f` ± {glue:text}`exact_gap_error:.2f` nat below, and
# its widths are within {glue:text}`widest_percent:.0f` % of the exact ones. So
# hardly any of the {glue:text}`image_gain:.2f` nat that the image adds in this
# run could come from photometry.

# %% mystnb={"code_prompt_show": "Show the parameters", "code_prompt_hide": "Hide the parameters"} tags=["parameters", "hide-input"]
profile = "quick"  # folder of the run: smoke, quick, paper or sdss
run = ""  # name of a rerun: data/runs/PROFILE-RUN
survey = "quick"  # folder of the survey: data/surveys/SURVEY
# "published": stored, whatever the values below; "made": now, with them
results = "published"
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

# %% mystnb={"code_prompt_show": "Show the imports", "code_prompt_hide": "Hide the imports"} tags=["hide-input"]
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
controls = image_controls.STUDY.read().content["experiments"]
densities = load_densities(folder / "densities.npz")
source = "simulated survey"
n_book, n_many = (numbers["trained_on"][name] for name in ("book", "many"))
names = {
    "exact": "exact posterior",
    "book": f"photometry model, {n_book:,} galaxies",
    "many": f"same network, {n_many:,} galaxies",
}

# %% [markdown]
# ## How it is computed
#
# Everything that the simulator draws at random for a galaxy (redshift, mass,
# star formation, metals, dust, inclination and so on) is a function of a vector
# $x$ of standard normal numbers. So the prior is $\mathcal N(0, I)$, and the
# likelihood is the noise: normal in each magnitude. The rule that selects
# star-forming galaxies is part of the prior; the limit in $r$ is not, because it
# applies to the observed magnitude. Redshift is unknown, as it is to the
# photometry model.
#
# Tempered sequential Monte Carlo {cite:p}`DelMoral2006` moves particles from
# the prior to the posterior. To save time it uses an emulator, a small network
# that imitates the simulator's photometry. At the end each particle is
# simulated and weighted by the ratio of the two likelihoods, so an error of
# the emulator costs particles and not accuracy.
#
# The flow learns *measured* properties, whose errors are known, and its path
# smooths them by another $\sigma = 0.05$ standard deviations. Its target is
# therefore the exact posterior smoothed by a normal kernel $K$,
#
# $$p(\theta_* \mid D) = \sum_i w_i K(\theta_* - \theta_i),$$
#
# and both are evaluated at the measured properties $\theta_*$ of each galaxy.
#
# Three checks: two independent runs per galaxy; the difference between combined
# and single runs, which estimates the finite-particle bias; and importance
# sampling from the prior where enough prior samples match the galaxy.

# %% tags=["hide-input"]
figures.check_table(numbers)

# %% [markdown]
# ## The photometry model reaches it

# %% mystnb={"figure": {"caption": "Posteriors of four simulated galaxies given five magnitudes: the exact posterior (grey), the photometry model (orange) and the same network trained on more than twenty times as many galaxies (green, dashed). Both flows follow the exact posterior; the line is the measured value.", "name": "fig-exact-marginals"}, "image": {"alt": "Four rows, one per galaxy, and five columns, one per property: the exact posterior as a grey histogram, and two outlines that follow it closely, with a line at the measured value."}} tags=["hide-input"]
figures.marginals(draws, table, names, source=source)

# %% tags=["hide-input"]
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
glue("widest_percent", 100 * max(abs(w - 1) for w in widths), display=False)
for name, accuracy in numbers["c2st"].items():
    glue(f"c2st_{name}", accuracy["mean"], display=False)
glue("n_exact", float(numbers["n_galaxies"]), display=False)
above = (table["book"] > table["exact"]).sum()
glue("n_above", float(above), display=False)
image_gain = (
    densities["image"].posterior_truth
    - densities["photometry"].posterior_truth
).mean()
glue("image_gain", float(image_gain), display=False)
dust = numbers["properties"]["a_v"]["information"]
inclination = controls["inclination"]
share = 100 * dust["exact"]["mean"] / dust["known"]["mean"]
glue("a_v_share", share, display=False)
share = 100 * dust["book"]["mean"] / dust["known"]["mean"]
glue("a_v_flow_share", share, display=False)
glue("inclination_gain", inclination["gain"], display=False)
glue("inclination_error", inclination["standard_error"], display=False)
print(result.origin)

# %% [markdown]
# The gap of {glue:text}`exact_gap:.2f` ± {glue:text}`exact_gap_error:.2f` nat
# includes a correction for the finite number of particles. Training on more than
# twenty times as many galaxies changes the mean log-density by
# {glue:text}`finite_data:+.3f` ± {glue:text}`finite_data_error:.3f` nat.
# Neither differs from zero.
#
# The classifier two-sample test {cite:p}`LopezPaz2017` says how often a
# classifier recognises a draw of the flow beside exact draws; 0.5 is guessing.
# Two exact runs are separated with accuracy {glue:text}`c2st_exact:.3f`, because
# particles of one run share ancestors. The photometry model is separated from
# the exact posterior with accuracy {glue:text}`c2st_book:.3f`, hardly more.
#
# Averaged over galaxies, a better photometric method could gain no more than
# this gap.
#
# ## How much of each property is there
#
# Information on a property is the mean gain in its log-density over the prior.
# It is limited by the error of the measured value.

# %% mystnb={"figure": {"caption": "Information on each property in five magnitudes, for 100 simulated galaxies: the exact posterior (grey bars), the photometry model (orange) and the most that any data could give, which the error of the measured value sets (line). Error bars are two standard errors of the difference from the exact posterior, galaxy by galaxy. The photometry model reaches the exact posterior in each property.", "name": "fig-exact-information"}, "image": {"alt": "Five horizontal bars in nat: mass 1.1, star formation rate 0.5, oxygen abundance 0.6, Dn(4000) 0.7 and A_V 0.35. An orange square lies at the end of each bar, within its error, and a line further right marks the most that is possible, 0.6 for A_V to 1.8 for mass."}} tags=["hide-input"]
figures.information(table, numbers, "photometry model", source=source)

# %% [markdown]
# Five magnitudes contain {glue:text}`a_v_share:.0f` % of all that can be known
# about a measured $A_V$, and the photometry model extracts
# {glue:text}`a_v_flow_share:.0f` %. So the low information on $A_V$ is no
# fault of the model: dust is confused with age and metals, and the error of
# the measured value is more than half of the prior's spread.
#
# What could an image add? A small flow with the true inclination as input
# besides the magnitudes gains {glue:text}`inclination_gain:.3f` ±
# {glue:text}`inclination_error:.3f` nat on $A_V$ ({numref}`fig-controls`).
# Dust lanes add nothing measurable to it ({doc}`06_what_a_picture_is_worth`).
#
# ## What to take away
#
# - In this simulation the photometry model is as good as any photometric
#   method can be.
# - So no more than {glue:text}`exact_gap:.2f` ±
#   {glue:text}`exact_gap_error:.2f` nat of the image model's gain makes up for
#   an imperfect photometry model.
# - $A_V$ is constrained weakly, because its measured values are noisy and five
#   magnitudes say little about dust.

# %% [markdown]
# ## Exercises
#
# **Better than exact?** The photometry model gives
# {glue:text}`n_above:.0f` of the {glue:text}`n_exact:.0f` galaxies a higher
# density than the exact posterior does. Is that an error?
#
# <details><summary>Answer</summary>
#
# No. For one galaxy any density may win: a narrower or shifted one that
# happens to have its peak at the measured value. Averaged over the population
# the exact posterior cannot be beaten, as the mean of $\log p - \log q$ is a
# Kullback-Leibler divergence, which is never negative.
#
# </details>
#
# **The ceiling.** A property has the spread $\tau$ in the population, and its
# measured value a Gaussian error $e$. How much information on the measured value
# is there at most? What follows for $e = \tau$?
#
# <details><summary>Answer</summary>
#
# The measured value has the variance $\tau^2 + e^2$. Knowing the true value
# leaves $e^2$, so there are at most $\tfrac12 \ln(1 + \tau^2 / e^2)$; for $e =
# \tau$ that is $\tfrac12 \ln 2 = 0.35$, in nat, however good the data.
#
# </details>
