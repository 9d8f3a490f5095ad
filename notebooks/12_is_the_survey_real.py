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
# No. Is it like the real one where it matters? This chapter compares the
# simulation with real galaxies, says where it fails, and shows what an image
# may and may not tell in it. The real galaxies are not part of this book: the
# photometry comes with the package kcorrect, and the cutouts were downloaded
# from SkyServer.
#
# The parameters change how many galaxies are simulated, which controls are
# made and how their flows are trained. By default the chapter reads what is
# published; for results of your own, for example of a smaller comparison and
# of two controls, run
#
# ```
# papermill notebooks/12_is_the_survey_real.ipynb out.ipynb -p results made \
#   -p n_bright 3000 -p n_parent 3000 -p results_controls made \
#   -y "{controls: [inclination, inclination_blind], n_survey: 4000, n_test: 800}"
# ```
#
# With `cutouts_folder`, a folder of at least 20 cutouts of real galaxies in
# JPEG, 128×128 pixels, `results made` compares these as well.

# %% tags=["parameters", "hide-input"]
profile = "quick"  # folder of the run: smoke, quick, paper or sdss
run = ""  # name of a rerun: data/runs/PROFILE-RUN
# "published", or "made": now, with the values below, into the run's folder
results = "published"
n_bright = 12000  # bright simulated galaxies, for colours and errors
n_parent = 20000  # simulated galaxies of all types, for percentiles
seed = 21  # of the simulated galaxies
cutouts_folder = ""  # folder of real cutouts; "" reads what is published
statistics = ["shape", "colour", "background"]  # measured on cutouts
network_epochs = 30  # of the network that tells cutouts apart
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
controls_seed = 101  # of the galaxies of the controls
trainings = 3  # trainings of each flow
n_steps = 1500  # steps of each training

# %% tags=["hide-input"]
# %matplotlib inline
import pandas as pd
from myst_nb import glue

from galcfm import runs
from galcfm.figures import contact_sheet
from galcfm.simulate import render, simulate_catalogue
from studies.figures import point_gains
from studies.realism import catalogues, cutouts, image_controls, shown

folder = runs.open_run("12_is_the_survey_real", globals())
plan, of_cutouts, of_controls = (
    part.Plan.of(globals()) for part in (catalogues, cutouts, image_controls)
)
realism = catalogues.find(results, folder, plan)
compared = cutouts.find(results, folder, of_cutouts)
gains = image_controls.find(results_controls, folder, of_controls)
both = "SDSS and simulated galaxies"
for result in (realism, compared, gains):
    print(result.origin)

# %% [markdown]
# ## Colours, errors, redshifts
#
# Real: SDSS galaxies of all types with $15<r<16.3$ and $0.02<z<0.2$, from
# the test file of kcorrect {cite:p}`Blanton2007`. Simulated: the *parent*
# population, galaxies of all types, of which the survey is the star-forming
# part. Both are matched in $r$ and redshift. A classifier that sees four
# colours is asked which galaxy is real; an area under its curve (AUC) of 0.5
# is guessing, 1 is certainty.
#
# The zero points and the correction of the templates of old stars were fitted
# on one half of these galaxies, and the survey uses them. The other half
# judges, though not as a stranger: dust, ages, metallicities and the areas of
# photometric errors, where `RELATIONS` calls them ours, were chosen with all
# of these galaxies in view. Galaxies never looked at would be a fairer judge.

# %%
found = realism.content["catalogues"]
for name, result in found["colour_auc"].items():
    print(f"{name}: {result['auc']:.3f} ± {result['standard_error']:.3f}")

# %% mystnb={"figure": {"caption": "Colours of real and simulated galaxies matched in r and redshift: medians, 16 to 84 % (thick) and 5 to 95 % (thin).", "name": "fig-real-colours"}, "image": {"alt": "Four panels, one a colour: real galaxies above and simulated ones below, each as a dot at the median on a thick and a thin bar."}}
shown.colour_comparison(found["colours"], source=both)

# %%
pd.DataFrame(found["magnitude_errors"]).T.rename_axis("band").round(4)

# %% [markdown]
# ## The properties
#
# Real: percentiles of 657,057 galaxies of the Main Galaxy Sample in the
# catalogue of {cite:t}`Kauffmann2003`, {cite:t}`Brinchmann2004` and
# {cite:t}`Tremonti2004`; abundances only of its star-forming galaxies.

# %% mystnb={"figure": {"caption": "Percentiles of the simulated parent population less those of the Main Galaxy Sample, in standard deviations of the latter. The band is \u00b10.15.", "name": "fig-real-percentiles"}, "image": {"alt": "Bars of simulated less real percentiles, five for each of the five properties and redshift, one colour per percentile, about a line at zero with a grey band."}}
percentiles = realism.content["percentiles"]
shown.percentile_offsets(percentiles, allowed=0.15, source=both)

# %%
shown.percentiles(percentiles)

# %% [markdown]
# Mass and redshift lie inside the band. Star formation rates lie a little
# above it, because the main sequence rises with redshift
# {cite:p}`Lilly2013`; without that rise they would be inside, and
# $D_n(4000)$ would be further out. Outside lie $A_V$, O/H of the poorest and
# $D_n(4000)$ of the younger half. Reasons have been tried on the simulated
# galaxies, one at a time; none was adopted for the sake of these numbers.

# %%
explanations = realism.content["explanations"]
shown.explanations(explanations["a_v"])

# %% [markdown]
# - $A_V$. The catalogue's is an optical depth fitted to the spectrum. The
#   simulation follows the Hα line {cite:p}`Garn2010` with half of the gas's
#   attenuation for the stars {cite:p}`Calzetti2000`, a ratio like that which
#   fits from the ultraviolet to the infrared take {cite:p}`Salim2016,Salim2018`.
#   A fibre sees the dustier middle, which closes a fifth to a third of the
#   offset in the upper half; of the whole galaxy it would be larger. Larger errors cannot explain the
#   rest: they widen both tails. The attenuation of the emission lines is too
#   much, and stars behind all of the gas's dust too. A first simulation
#   made with that dust was 0.07 mag too red in $u-g$ besides: $A_V$ stays another
#   quantity here than in the catalogue.

# %%
shown.explanations(explanations["oxygen_abundance"])

# %% [markdown]
# - O/H. A real abundance needs four lines, and where the gas is rich
#   [O III] is faint. The simulation asks for them too, at three times an
#   error of $2\times10^{-17}$ erg s$^{-1}$ cm$^{-2}$; whatever lines are
#   seen, the offsets would be larger. The fibre changes little:
#   the relation that the simulation follows was measured through fibres, and
#   the middle, which is richer {cite:p}`Sanchez2014`, counts against the
#   middle of a typical galaxy.

# %%
shown.explanations(explanations["dn4000"])

# %% [markdown]
# - $D_n(4000)$. A fibre of 3″ sees more of the bulge, and the break grows:
#   this widens the offset, which that of the whole galaxy would have at the
#   youngest tenth only. So
#   the simulated middles are too old, or the youngest galaxies are too few.
#   The survey has it in the fibre all the same, as the catalogue does.

# %% [markdown]
# ## The pictures
#
# Real: 400 cutouts of star-forming galaxies from SkyServer, each scaled to
# the size of its galaxy. Ours are enlarged to half-light radii drawn from
# theirs, and each real one gets the simulated one that is most like it in
# light and radius. So what is left to compare is neither brightness nor size.
#
# Fourteen numbers are measured on each cutout: the concentration, asymmetry,
# smoothness, Gini coefficient and $M_{20}$ of statmorph
# {cite:p}`RodriguezGomez2019`, size and ellipticity, two colours and their
# gradient, the sky, its noise, how that goes from pixel to pixel, and the
# number of neighbours. A classifier is asked which cutout is real. So is a
# small network that sees the pictures themselves.
#
# The real cutouts are split in two halves. What in the simulation was chosen
# by pictures, and `RELATIONS` says what, was chosen on the first. The second
# judges. Its verdict on all numbers was read nine times on the way, between
# 0.79 and 0.84; no number was chosen by it, but it is no longer strictly
# blind. The table gives medians on this half, in parentheses the 10th and the
# 90th percentile, and the AUC of each number alone.

# %%
shown.cutout_statistics(compared.content["statistics"])

# %%
for half, groups in compared.content["auc"].items():
    for name, result in groups.items():
        error = result["standard_error"]
        print(f"{half}, {name}: {result['auc']:.2f} ± {error:.2f}")
print(f"judged by a network: {compared.content['network_auc']:.2f}")

# %% tags=["remove-cell"]
glue("colour_auc", found["colour_auc"]["judged"]["auc"], display=False)
for name, result in compared.content["auc"]["judged"].items():
    glue(f"cutout_auc_{name}", result["auc"], display=False)
glue("cutout_auc_network", compared.content["network_auc"], display=False)

# %% [markdown]
# All numbers together tell the two apart with an AUC of
# {glue:text}`cutout_auc_all:.2f`; shape alone with
# {glue:text}`cutout_auc_shape:.2f`, colour with
# {glue:text}`cutout_auc_colour:.2f` and background with
# {glue:text}`cutout_auc_background:.2f`. Before the simulation had structure
# and frames that vary, it was 0.99. The network finds more, with an AUC of
# {glue:text}`cutout_auc_network:.2f`: what a picture is made of is more than
# fourteen numbers.
#
# - **How a picture is made** mattered most. Interpolation smooths the noise,
#   and SkyServer's JPEG, of quality 75, smooths it further and leaves its
#   colours in blocks. The real cutouts were saved once more, at quality 92, by
#   who collected them; before the comparison ours are enlarged and saved so
#   too. The amount of noise now agrees, and its correlation from pixel to pixel
#   nearly.
# - **Frames vary.** The sky that is left differs from frame to frame, more
#   often too bright by much than too dark, and slopes. The bands are a fraction
#   of a pixel apart: galaxies have a red and a blue side. The point spread
#   function has wings, and some of the stars are bright.
# - **Galaxies have structure.** Bars, rings, arms of different widths,
#   lopsided discs, dust lanes, companions. Young stars stand further out than
#   the disc. Blue light is wider than red.
#
# What still gives the simulation away:
#
# - **Light in the wrong place.** The bright parts of real galaxies are further
#   from the middle ($M_{20}$), and their sizes spread less: these two tell most,
#   one number at a time. Arms branch, dust is patchy, and tails and shells have
#   no place here.
# - **Some too flat.** The flattest tenth of ours is flatter than the real one.
# - **Background.** The correlation of the noise and the number of neighbours
#   still tell a little.
# - **Colours.** Some real galaxies are bluer in the middle than further out,
#   by more than ours.
# - **Accidents.** Real cutouts may hold the red halo and the spikes of a star
#   outside, the trail of a satellite, or a large neighbour that fills the
#   frame.

# %% mystnb={"figure": {"caption": "Twelve cutouts of the simulated survey, in order of stellar mass.", "name": "fig-real-sheet"}, "image": {"alt": "Twelve colour cutouts in three rows, each with redshift, r magnitude and the five properties written below it."}}
twelve = simulate_catalogue(12, seed).sort_values("log_stellar_mass")
contact_sheet(twelve, render(twelve, seed), source="simulated survey")

# %% [markdown]
# ## Controls
#
# If the simulation leaked its answers into the pictures, the image model
# would win for the wrong reason. So small flows get numbers beside the
# photometry, and the gain in $\log p$ of the true properties is measured on
# galaxies that they have not seen:
#
# - the total $g, r, i$ flux on isolated stamps must tell nothing new;
# - another galaxy's picture must tell nothing;
# - inclination tells of $A_V$, and must not where dust ignores inclination;
# - three true numbers of the shape, half-light radius, inclination and bulge
#   fraction, say what an encoder of pictures can learn from these at most, and
#   nothing of what else it may see.
#
# The three numbers are given on the survey `quick`, so that the galaxies that
# train and judge are those of the book's image model; the other controls have
# surveys of their own.
#
# Each flow starts from one trained on photometry alone, which ignores the new
# numbers, and stops where a tenth of the training galaxies like it best. A
# little overfitting is left: another galaxy's picture costs about a hundredth
# of a nat.

# %% mystnb={"figure": {"caption": "Gain in log p by numbers given to a small flow beside the photometry, in the simulated survey. Bars are two standard errors.", "name": "fig-controls"}, "image": {"alt": "One row per control: a bar with its error at the gain in log p, which ends right of zero where the numbers tell something new."}}
experiments = gains.content["experiments"]
by_question = {
    control["question"].replace("A_V", "$A_V$"): control
    for control in experiments.values()
}
point_gains(by_question, over="photometry", source="simulated survey")

# %%
shown.control_gains(experiments)

# %% [markdown]
# ## Exercises
#
# **What is an AUC?** A classifier has an area under its curve of 0.83. Put
# that into a sentence about one real and one simulated cutout. Is 0.5 proof
# that the two kinds are alike?
#
# <details><summary>Answer</summary>
#
# Shown one of each, it gives the higher score to the right one in 83 of 100
# cases. At 0.5 *this* classifier, with *these* numbers and as many examples,
# finds no difference; another may. That is why numbers and a network are asked
# here, and why an AUC goes with its error.
#
# </details>
#
# **Which test would catch it?** By mistake a simulator renders each cutout
# with the noise-free flux, and the catalogue has noisy magnitudes. Which
# control of the last section goes up?
#
# <details><summary>Answer</summary>
#
# The first: fluxes measured on isolated stamps would tell what the noise has
# hidden from the magnitudes, and so something new. The image model would win
# by photometry in disguise. Another galaxy's picture would still tell nothing.
#
# </details>
#
# **Where is it worst?** Which percentile of which property is furthest from
# the real galaxies, and by how many standard deviations?

# %% mystnb={"code_prompt_hide": "Answer", "code_prompt_show": "Answer"} tags=["hide-cell"]
offsets = {
    (name, f"{percent} %"): entry["offset"]
    for name, by_percentile in percentiles.items()
    for percent, entry in by_percentile.items()
}
worst = max(offsets, key=lambda key: abs(offsets[key]))
print(f"{' '.join(worst)}: {offsets[worst]:+.2f} standard deviations")
