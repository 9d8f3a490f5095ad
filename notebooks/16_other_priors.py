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
# # Other priors
#
# A trained model believes that each galaxy comes from the population it was
# trained on. What if yours do not? For another prior of the five properties,
# with everything else about a galaxy of given properties as before, no
# training is needed: a posterior draw gets the weight
#
# $$ r(\theta) = p_\text{new}(\theta) \,/\, p_\text{old}(\theta). $$
#
# The effective sample size $(\sum w)^2 / \sum w^2$ {cite:p}`Kong1994` says
# how many of the draws still count.
#
# The three changes of the prior are parameters, applied to the draws of your
# own run. The last section reads a stored fine-tuning; with `results = "made"`
# it is done now, for bursts that are higher by `burst_shift`. For example, in a
# minute:
#
#     papermill notebooks/16_other_priors.ipynb out.ipynb \
#         -p slope_change -1.0 -p results made -p burst_shift 0.3

# %% tags=["parameters", "hide-input"]
profile = "quick"  # folder of the run: smoke, quick, paper or sdss
run = ""  # name of a rerun: data/runs/PROFILE-RUN
survey = "quick"  # folder of the survey: data/surveys/SURVEY
slope_change = -0.5  # of the slope of the mass function of blue galaxies
abundance_change = -0.05  # of the oxygen abundance at given mass, dex
rate_change = -1.0  # of the star formation rate at given mass, dex
results = "published"  # or "made": fine-tuning now, as below
burst_shift = 0.15  # of the mean recent burst of star formation, dex
max_epochs = 15  # of the fine-tuning, at most
learning_rate = 0.0003  # of the fine-tuning

# %% tags=["hide-input"]
# %matplotlib inline
import warnings

import numpy as np
import pandas as pd
from myst_nb import glue

from galcfm import paths, runs, stored_posteriors
from galcfm.properties import PROPERTY_NAMES
from galcfm.simulate import RELATIONS
from galcfm.survey import Survey
from studies import exact, priors
from studies.priors import figures, weights

folder = runs.open_run("16_other_priors", globals())
galaxies = Survey.load(paths.survey_folder(survey))
train = galaxies.split("train")
samples = {
    name: stored_posteriors.samples_array(
        stored_posteriors.load_posteriors(folder / f"posteriors_{name}.nc")
    )
    for name in ("photometry", "image")
}
n_draws = samples["image"].shape[1]
truth = galaxies.split("test").properties[: len(samples["image"])]
mass, metals = (
    PROPERTY_NAMES.index(name)
    for name in ("log_stellar_mass", "oxygen_abundance")
)

# %% [markdown]
# ## Two other populations
#
# *Another mass function*: the slope $\alpha$ of the blue galaxies changes from
# that of the simulation by `slope_change`, here −0.5. *Other abundances*: the
# abundance at given mass changes by `abundance_change`, here −0.05 dex. For the
# second we need the old relation among the training galaxies, measurement
# errors included: a parabola through them, with their scatter.
#
# Both are statements about *measured* properties, because these are what the
# models infer. A mass function of the true masses would change the measured
# one too, but by other weights, which depend on the data of each galaxy.

# %%
blue = next(r for r in RELATIONS if "mass functions" in r.name).coefficients
steeper = weights.schechter_ratio(
    new=(blue["log_m_star"], blue["blue_alpha"] + slope_change),
    old=(blue["log_m_star"], blue["blue_alpha"]),
)
relation, scatter = weights.fitted_relation(
    train.properties, "oxygen_abundance", "log_stellar_mass"
)
poorer = weights.relation_ratio(
    "oxygen_abundance",
    "log_stellar_mass",
    new=(lambda m: relation(m) + abundance_change, scatter),
    old=(relation, scatter),
)

# %% mystnb={"figure": {"caption": "Masses of the training galaxies, and of the population with a steeper mass function (left); the effective share of the posterior draws of each test galaxy under the latter (right).", "name": "fig-other-prior"}, "image": {"alt": "On the left two histograms of stellar mass, the survey filled and the steeper mass function as an outline that rises towards low masses; on the right histograms of the effective share of the draws under both models."}}
effective = {
    name: weights.reweight(draws, steeper).effective_sample_size
    for name, draws in samples.items()
}
figures.other_prior(
    train.properties[:, mass],
    np.exp(steeper(train.properties)),
    effective,
    n_draws,
    names=("the survey", "other mass function"),
    source=galaxies.source,
)

# %% [markdown]
# ## Are the new posteriors right?
#
# A test that needs no new galaxies: the known ones, each counted
# $r(\theta_*)$ times, *are* the new population. Averaged over it, the
# posterior with the right prior must give the truth the higher log-density,
# and its means must not be biased. Bias is the weighted mean of posterior
# mean minus truth, of the property whose prior has changed.

# %%
changed = {"other mass function": mass, "other abundances": metals}
ratios = {"other mass function": steeper, "other abundances": poorer}
gains = {
    (change, name): weights.reweighted_gain(draws, truth, ratio)
    for change, ratio in ratios.items()
    for name, draws in samples.items()
}
figures.gain_table(gains, changed)

# %% [markdown]
# ## Beside the exact posterior
#
# For four galaxies {doc}`10_exact_posteriors` keeps draws of the exact
# posterior and of the photometry flow. The same weights on the exact draws say
# what the flow's should have become: means of $\log M_\star$ under the old
# prior and under the steeper mass function, with the error that the effective
# number of draws leaves.

# %%
exact_draws = pd.read_parquet(paths.published_folder() / exact.DRAWS)
moved = weights.shifted_means(
    exact_draws[exact_draws["posterior"].isin(["exact", "book"])],
    steeper,
    "log_stellar_mass",
).rename(columns={"exact": "exact posterior", "book": "flow"})
moved.round(3)

# %% [markdown]
# The flow's means move by the same few hundredths of a dex as the exact ones;
# the differences between the two were there before.

# %% [markdown]
# ## When weights collapse
#
# A prior that is far from the old one leaves few draws that count. Galaxies
# whose star formation rates at given mass are changed by `rate_change`, here to
# a tenth, are hardly in the training set, and no weight can invent them. The
# function says so:

# %%
rate, rate_scatter = weights.fitted_relation(
    train.properties, "log_sfr", "log_stellar_mass"
)
quenched = weights.relation_ratio(
    "log_sfr",
    "log_stellar_mass",
    new=(lambda m: rate(m) + rate_change, rate_scatter),
    old=(rate, rate_scatter),
)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    collapsed = weights.reweight(samples["photometry"], quenched)
for warning in caught:
    print(warning.message)
share = np.median(collapsed.effective_sample_size) / n_draws
print(f"median effective share of the draws: {share:.3f}")

# %% [markdown]
# ## A prior on what is not inferred
#
# Star formation histories are not among the five properties, so draws cannot
# be weighted by them. The training galaxies can. In the simulation the rate
# of today is that of a smooth history times a recent burst or lull; the
# weights raise the mean burst of main-sequence galaxies, and the photometry
# model of the `quick` profile is trained further for a few epochs, with each
# galaxy drawn as often as its weight says. Both models are then compared on
# the test galaxies with the same weights.

# %%
result = priors.STUDY.result(results, folder, priors.Plan.of(globals()))
stored = result.content
print(result.origin)
print(f"bursts higher by {stored['shift']} dex")
print(
    f"{stored['effective_galaxies']:.0f} effective of "
    f"{stored['n_test']} test galaxies"
)
print(
    f"gain in log p: {stored['gain']:+.3f} ± "
    f"{stored['standard_error']:.3f} nat"
)
pd.DataFrame(stored["bias"]).T.round(4).rename_axis("bias of the mean")

# %% [markdown]
# The weights move the posterior mean of the star formation rate by
# {glue:text}`bursts_moved:+.3f` dex, the way they should. But neither the old
# bias nor the new one is larger than two of its errors, and $\log p$ is no
# better: the weighted test galaxies, worth so few, do not tell which of the
# two priors serves them better.

# %% tags=["remove-cell"]
for change, short in (
    ("other mass function", "steeper"),
    ("other abundances", "poorer"),
):
    for name in samples:
        gain, k = gains[change, name], changed[change]
        glue(f"{short}_gain_{name}", float(gain["gain"]))
        glue(f"{short}_share_{name}", float(gain["effective_share"]))
        for which in ("bias_old", "bias_new"):
            glue(f"{short}_{which}_{name}", float(gain[which][k]))
log_sfr = stored["bias"]["log_sfr"]
glue("bursts_moved", log_sfr["after"] - log_sfr["before"])

# %% [markdown]
# ## Exercises
#
# **What is lost?** Draws get weights whose logarithms scatter like a Gaussian
# of width $s$. Which share of them still counts? Try it for $s = 1$.

# %% mystnb={"code_prompt_hide": "Answer", "code_prompt_show": "Answer"} tags=["hide-cell"]
log_weight = np.random.default_rng(0).standard_normal(100_000)
weight = np.exp(log_weight)
share = weight.sum() ** 2 / (weight**2).sum() / len(weight)
print(f"counted {share:.3f}, by the formula {np.exp(-1):.3f}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# $(\sum w)^2 / (n \sum w^2) \to \mathrm{E}[w]^2 / \mathrm{E}[w^2] = e^{-s^2}$:
# a third for $s = 1$, two in a hundred for $s = 2$. So a prior may differ by a
# factor of a few over the width of a posterior, not by many.
#
# </details>
#
# **Narrower is easier.** For which galaxies do fewer draws survive a change of
# the mass function: those whose mass is well known, or badly? What does that
# say of the image model?
#
# <details><summary>Answer</summary>
#
# Badly: over a wide posterior the ratio of the two priors varies more. The
# more the data tell, the less the prior matters, so the image model, where it
# is narrower, is also the one that is easier to carry to another population.
#
# </details>
#
# **Not by weights.** Why can the bursts of the last section not be put into
# the posterior by weighting its draws, and what is done instead?
#
# <details><summary>Answer</summary>
#
# The weight of a draw may depend only on what a draw says, its five
# properties, and the burst is none of them: galaxies of the same five
# properties differ in it, and so do their data. The training galaxies do have
# it, so these are weighted, and the network learns on.
#
# </details>
