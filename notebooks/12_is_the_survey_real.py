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
# # Is the survey real?
#
# No; the question is where it differs. In colour, a classifier separates real
# and simulated galaxies with an {term}`AUC` of {glue:text}`colour_auc:.2f` (0.5
# is guessing). Masses and redshifts agree with the real survey to 0.15 standard
# deviations; $A_V$ of the dustiest tenth is
# {glue:text}`worst_offset:.2f` standard deviations too low. Cutouts are easier
# to recognise: fourteen measurements reach {glue:text}`cutout_auc_all:.2f`, and a
# small network {glue:text}`cutout_auc_network:.2f`. Controls show that the images
# of the simulation do not leak its answers.
#
# The real galaxies are not part of this book: the photometry comes with the
# package kcorrect, and the cutouts were downloaded from SkyServer.

# %% mystnb={"code_prompt_show": "Show the parameters", "code_prompt_hide": "Hide the parameters"} tags=["parameters", "hide-input"]
profile = "quick"  # folder of the run: smoke, quick, paper or sdss
run = ""  # name of a rerun: data/runs/PROFILE-RUN
# "published": stored, whatever the values below; "made": now, with them
results = "published"
n_bright = 12000  # bright simulated galaxies, for colours and errors
n_parent = 20000  # simulated galaxies of all types, for percentiles
seed = 21  # seed of the simulated galaxies
cutouts_folder = ""  # folder of real cutouts; "" reads what is published
statistics = ["shape", "colour", "background"]  # measured on cutouts
network_epochs = 30  # epochs of the network that classifies cutouts
results_controls = "published"  # or "made", with the values below
# Names of the controls to make
controls = [
    "stamp_flux",
    "picture",
    "shuffled",
    "inclination",
    "inclination_blind",
    "shape",
]
n_survey = 40000  # simulated galaxies for the controls of inclination
n_stamps = 12000  # simulated galaxies that are rendered for the first three
n_test = 4000  # test galaxies among each of these
n_book = 12000  # galaxies of the survey quick, for the control of shape
controls_seed = 101  # seed of the galaxies of the controls
trainings = 3  # trainings of each flow
n_steps = 1500  # steps of each training

# %% mystnb={"code_prompt_show": "Show the imports", "code_prompt_hide": "Hide the imports"} tags=["hide-input"]
# %matplotlib inline
from myst_nb import glue

from galcfm import runs
from studies.figures import point_gains
from studies.realism import catalogues, cutouts, image_controls, shown

folder = runs.open_run("12_is_the_survey_real", globals())
plan, of_cutouts, of_controls = (
    part.Plan.of(globals()) for part in (catalogues, cutouts, image_controls)
)
realism = catalogues.find(results, folder, plan)
compared = cutouts.find(results, folder, of_cutouts)
gains = image_controls.find(results_controls, folder, of_controls)
found = realism.content["catalogues"]
percentiles = realism.content["percentiles"]
experiments = gains.content["experiments"]
both = "SDSS and simulated galaxies"

# %% [markdown]
# ## Colours and errors
#
# Real: SDSS galaxies of all types with $15<r<16.3$ and $0.02<z<0.2$, from the
# test file of kcorrect {cite:p}`Blanton2007`. Simulated: the *parent* population
# of all types, of which the survey is the star-forming part. Both are matched in
# $r$ and redshift.

# %% mystnb={"figure": {"caption": "Colours of real (grey) and simulated (green) galaxies matched in $r$ and redshift: medians, 16 to 84 % (thick) and 5 to 95 % (thin). They agree to a few hundredths of a magnitude.", "name": "fig-real-colours"}, "image": {"alt": "Four panels, one per colour: real galaxies above and simulated ones below, each as a marker at the median on a thick and a thin bar. The bars nearly coincide; simulated u minus g reaches less far to the blue."}} tags=["hide-input"]
shown.colour_comparison(found["colours"], source=both)

# %% [markdown]
# A classifier with four colours as input separates them with an AUC of
# {glue:text}`colour_auc:.3f` ± {glue:text}`colour_auc_error:.3f`. Median errors
# of the magnitudes agree within {glue:text}`error_percent:.0f` % in each band.
#
# The zero points and the templates of old stars were fitted to one half of the
# real galaxies; the AUC is of the other half. Dust, ages, metallicities and
# the areas of the photometric errors were chosen with all of them in view.
#
# ## Properties
#
# Real: percentiles of 657,057 galaxies of the Main Galaxy Sample in the
# catalogue of {cite:t}`Kauffmann2003`, {cite:t}`Brinchmann2004` and
# {cite:t}`Tremonti2004`; abundances of its star-forming galaxies only.

# %% mystnb={"figure": {"caption": "Percentiles of the simulated parent population minus those of the Main Galaxy Sample, in standard deviations of the latter (green); the band is \u00b10.15. Below, on another scale, other assumptions that were tested one at a time. Mass and redshift agree; $A_V$ is too low for dusty galaxies, O/H too high for the poorest and the break too large for younger galaxies.", "name": "fig-real-percentiles"}, "image": {"alt": "Six panels of offsets at the 10th to 90th percentile. Mass and redshift lie within 0.07; the star formation rate rises to +0.23; the oxygen abundance falls from +0.39 to \u22120.06, Dn(4000) from +0.23 to +0.10, A_V from \u22120.11 to \u22120.64. Lines of other assumptions: the dust of the emission lines and stars behind the gas's dust overshoot A_V, by up to +1.7; properties of the whole galaxy bring Dn(4000) to zero above the median and A_V further down."}} tags=["hide-input"]
shown.percentile_offsets(
    percentiles, realism.content["explanations"], allowed=0.15, source=both
)

# %% [markdown]
# None of the other assumptions in the figure was adopted.
#
# - **Star formation rates** lie a little above the band. We suspect the rise
#   of the simulated main sequence with redshift {cite:p}`Lilly2013`.
# - **$A_V$.** The simulation follows the Hα line {cite:p}`Garn2010` with half
#   of the attenuation of the gas for the stars {cite:p}`Calzetti2000`, like
#   fits from the ultraviolet to the infrared {cite:p}`Salim2016,Salim2018`.
#   Neither larger errors nor the dust of the emission lines nor a missing
#   fibre explains the offset. The catalogue's $A_V$, an optical depth fitted
#   to the spectrum, is another quantity.
# - **O/H.** Requiring four measurable lines, as the catalogue does, lowers the
#   offsets and does not remove them.
# - **$D_n(4000)$.** A fibre of 3″ sees more of the bulge, and the break grows.
#   Without the fibre only the youngest tenth would be off. Either the middles
#   of simulated galaxies are too old, or the youngest galaxies are too few.

# %% [markdown]
# ## Cutouts
#
# Real: 400 cutouts of star-forming galaxies from SkyServer, each scaled to the
# size of its galaxy and re-saved at JPEG quality 92 before we received it.
# Ours are enlarged to half-light radii drawn from the real ones and re-saved
# in the same way, and each real cutout gets the simulated one that is most
# like it in light and radius.
#
# Fourteen numbers are measured on each cutout, the shape in bins of 2×2
# pixels: concentration, asymmetry, smoothness, Gini coefficient and $M_{20}$
# by statmorph {cite:p}`RodriguezGomez2019`, size and ellipticity, two colours
# and their gradient, the sky, its noise and its correlation from pixel to
# pixel, and the number of neighbours. Choices in the simulation were made on
# the first half of the real cutouts; the second half is the test set. We
# looked at it nine times during development (AUC between 0.79 and 0.84), so it
# is no longer strictly blind, though nothing was tuned to it.

# %% tags=["hide-input"]
shown.cutout_statistics(compared.content["statistics"])

# %% tags=["remove-cell"]
colour = found["colour_auc"]["judged"]
ratios = [errors["ratio"] for errors in found["magnitude_errors"].values()]
offsets = {
    (name, f"{percent} %"): entry["offset"]
    for name, by_percentile in percentiles.items()
    for percent, entry in by_percentile.items()
}
worst = max(offsets, key=lambda key: abs(offsets[key]))
numbers = {
    "colour_auc": colour["auc"],
    "colour_auc_error": colour["standard_error"],
    "error_percent": 100 * max(abs(ratio - 1) for ratio in ratios),
    "worst_offset": abs(offsets[worst]),
    "cutout_auc_network": compared.content["network_auc"],
}
for name, of in compared.content["auc"]["judged"].items():
    numbers[f"cutout_auc_{name}"] = of["auc"]
for name, control in experiments.items():
    numbers[f"control_{name}"] = control["gain"]
    numbers[f"control_{name}_error"] = control["standard_error"]
for name, value in numbers.items():
    glue(name, float(value), display=False)
for result in (realism, compared, gains):
    print(result.origin)

# %% [markdown]
# The table gives medians of the test half, in parentheses the 10th and the
# 90th percentile, and the AUC of each number alone. Shape alone separates best
# ({glue:text}`cutout_auc_shape:.2f`), then the background
# ({glue:text}`cutout_auc_background:.2f`), and colour hardly at all
# ({glue:text}`cutout_auc_colour:.2f`).
#
# What distinguishes simulated cutouts:
#
# - **Light in the wrong place.** The bright parts of real galaxies are further
#   from the middle ($M_{20}$), and their sizes spread less. Arms branch, dust is
#   patchy, and tails and shells are missing from the simulation.
# - **Some are too flat.** The flattest tenth of the simulated galaxies is flatter
#   than the real one.
# - **Colours.** Some real galaxies are bluer in the middle than further out, by
#   more than simulated ones are.
# - **Accidents.** Real cutouts may show the red halo and the spikes of a bright
#   star, the trail of a satellite, or a large neighbour.
#
# %% [markdown]
# ## Controls
#
# If the simulation leaked its answers into the cutouts, the image model would
# win for the wrong reason. Small flows with a few numbers as input besides the
# photometry test this, on galaxies that were not used in training. Each flow
# starts from one that was trained on photometry alone, and stops at the lowest
# loss on a held-out tenth of the training galaxies. A little overfitting
# remains: six measurements on another galaxy's cutout give
# {glue:text}`control_shuffled:.3f` nat.

# %% mystnb={"figure": {"caption": "Gain in log-density by numbers given to a small flow besides the photometry, in the simulated survey, with 95 % intervals. Fluxes on isolated stamps and another galaxy's cutout must add nothing, and add nothing. Three true numbers of the shape add 0.34 nat: so much could be learned from an image about these three alone.", "name": "fig-controls"}, "image": {"alt": "Six points with intervals: fluxes of stamps 0.003, six measurements on the cutout 0.13, the same of another cutout \u22120.008, true inclination for A_V 0.05, the same where dust does not depend on inclination 0.000, three true numbers of the shape 0.34 nat."}} tags=["hide-input"]
questions = {
    image_controls.CONTROLS[name].question: control
    for name, control in experiments.items()
}
point_gains(questions, over="photometry", source="simulated survey")

# %% [markdown]
# - The total fluxes in $g$, $r$ and $i$ on isolated stamps add
#   {glue:text}`control_stamp_flux:.3f` ±
#   {glue:text}`control_stamp_flux_error:.3f` nat: cutouts are no second
#   photometer.
# - The true inclination adds {glue:text}`control_inclination:.3f` ±
#   {glue:text}`control_inclination_error:.3f` nat to $A_V$, and nothing where
#   dust does not depend on inclination.
# - Half-light radius, inclination and bulge fraction together add
#   {glue:text}`control_shape:.3f` ± {glue:text}`control_shape_error:.3f` nat
#   on the test galaxies of the book's image model. An encoder may find more.
#
# ## What to take away
#
# - Simulated photometry is close to real photometry (AUC
#   {glue:text}`colour_auc:.2f`); simulated cutouts are recognised by a network
#   (AUC {glue:text}`cutout_auc_network:.2f`).
# - $A_V$ of dusty galaxies, O/H of poor ones and the 4000 Å break of young ones
#   differ from the catalogue by up to {glue:text}`worst_offset:.2f` standard
#   deviations.
# - The gain of the image model comes from morphology that the simulation puts
#   in, not from leaks.

# %% [markdown]
# ## Exercises
#
# **What is an AUC?** A classifier has an area under its curve of 0.83. Put that
# into a sentence about one real and one simulated cutout. Is 0.5 proof that the
# two kinds are alike?
#
# <details><summary>Answer</summary>
#
# Shown one of each, it gives the higher score to the right one in 83 of 100
# cases. At 0.5 *this* classifier, with *these* numbers and as many examples,
# finds no difference; another may. That is why both numbers and a network are
# used here.
#
# </details>
#
# **Which test would find it?** By mistake a simulator renders each cutout with
# the noise-free flux, and the catalogue has noisy magnitudes. Which control of
# the last section goes up?
#
# <details><summary>Answer</summary>
#
# The first: fluxes measured on isolated stamps would reveal what the noise has
# hidden from the magnitudes. The image model would win by photometry in
# disguise. Another galaxy's cutout would still add nothing.
#
# </details>
#
# **Where is it worst?** Which percentile of which property is furthest from the
# real galaxies, and by how many standard deviations?

# %% mystnb={"code_prompt_hide": "Answer", "code_prompt_show": "Answer"} tags=["hide-cell"]
furthest = max(offsets, key=lambda key: abs(offsets[key]))
print(" ".join(furthest), f"{offsets[furthest]:+.2f}".replace("-", "−"))
