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
# No. Is it like the real one where it matters? This chapter holds the
# simulation against real galaxies, says where it fails, and shows what a
# picture may and may not tell in it. The real galaxies are not part of this
# book: their numbers come from stored results that two commands make again,
# `python -m galcfm.realism` and `python -m galcfm.controls`. The sheet of
# cutouts shows this run's own survey; with the profile `sdss` those are real.

# %% tags=["parameters"]
profile = "quick"  # folder of the run: smoke, quick, paper or sdss
run = ""  # name of a rerun: data/runs/PROFILE-RUN
survey = "quick"  # folder of the survey: data/surveys/SURVEY

# %%
# %matplotlib inline
import json

from myst_nb import glue

from galcfm import figures, paths, runs, tables
from galcfm.survey import Survey

folder = runs.open_run("09_is_the_survey_real", globals())
published = paths.published_folder()
realism, cutouts, controls = (
    json.loads((published / f"{name}.json").read_text())
    for name in ("realism", "realism_cutouts", "controls")
)
both = "SDSS and simulated galaxies"

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
catalogues = realism["catalogues"]
for name, result in catalogues["colour_auc"].items():
    print(f"{name}: {result['auc']:.3f} ± {result['standard_error']:.3f}")
glue("colour_auc", catalogues["colour_auc"]["judged"]["auc"], display=False)

# %% mystnb={"figure": {"caption": "Colours of real and simulated galaxies matched in r and redshift: medians, 16 to 84 % (thick) and 5 to 95 % (thin).", "name": "fig-real-colours"}}
figures.colour_comparison(catalogues["colours"], source=both)

# %%
tables.magnitude_errors(catalogues["magnitude_errors"])

# %% [markdown]
# ## The properties
#
# Real: percentiles of 657,057 galaxies of the Main Galaxy Sample in the
# catalogue of {cite:t}`Kauffmann2003`, {cite:t}`Brinchmann2004` and
# {cite:t}`Tremonti2004`; abundances only of its star-forming galaxies.

# %% mystnb={"figure": {"caption": "Percentiles of the simulated parent population less those of the Main Galaxy Sample, in standard deviations of the latter. The band is \u00b10.15.", "name": "fig-real-percentiles"}}
figures.percentile_offsets(realism["percentiles"], allowed=0.15, source=both)

# %%
tables.percentiles(realism["percentiles"])

# %% [markdown]
# Outside the band, with a likely reason that nobody has tested here:
#
# - $A_V$. The catalogue's optical depth comes from a fit to the spectrum in
#   a 3″ fibre and reaches values that fits to photometry from the
#   ultraviolet to the infrared do not {cite:p}`Salim2016,Salim2018`. The
#   simulation follows those.
# - Redshift, and with it the most massive galaxies: the simulation ends at
#   $z = 0.2$, beyond which one real galaxy in twenty lies.
# - O/H of the galaxies poorest in metals: the real sample reaches below
#   $z = 0.02$, where dwarfs are, and its lines are classified one by one,
#   where the simulation has a cut in specific star formation rate and a
#   share of active nuclei that rises with mass.
# - $D_n(4000)$ of the youngest: the real one is measured with noise that
#   depends on the spectrum, and the simulation gives all the same error.

# %% [markdown]
# ## The pictures
#
# Real: 400 cutouts of star-forming galaxies from SkyServer, each scaled to
# the size of its galaxy. Ours are enlarged to the same half-light radii
# before the comparison, and measured with simple means: sky and noise of the
# border, brightness and colour of the centre, shape.

# %%
tables.cutout_statistics(cutouts["statistics"])

# %%
for name in ("shape", "colour", "background", "all"):
    print(f"AUC of {name}: {cutouts[f'auc_{name}']['auc']:.2f}")

# %% [markdown]
# A classifier on these numbers is hardly ever wrong. What gives the
# simulation away:
#
# - **Colour.** Real cutouts are redder: relative to the middle channel their
#   red is 16 % higher and their blue 14 % lower, and their sky too has less
#   blue than red. As catalogued colours agree, the factors that SkyServer
#   gives the bands seem to differ from those of the recipe used here.
# - **Background.** The sky of ours is a count too high and their noise a
#   quarter too low; real noise has structure on larger scales, and faint
#   neighbours and scattered light that ours lack.
# - **Centres.** Those of ours range from fainter to brighter.
# - **Structure.** No bars, rings, dust lanes or companions.

# %% mystnb={"figure": {"caption": "Twelve cutouts of this run's own survey, in order of stellar mass.", "name": "fig-real-sheet"}}
galaxies = Survey.load(paths.survey_folder(survey))
shown = galaxies.catalogue.sample(min(12, len(galaxies)), random_state=1)
shown = shown.sort_values("log_stellar_mass")
figures.contact_sheet(
    shown, galaxies.images[shown.index], source=galaxies.source
)

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
# - the true size, inclination and bulge fraction give the ceiling for what
#   an encoder of pictures can learn from these.

# %% mystnb={"figure": {"caption": "Gain in log p by numbers given to a small flow beside the photometry, in the simulated survey.", "name": "fig-controls"}}
figures.control_gains(controls["experiments"], source="simulated survey")

# %%
tables.control_gains(controls["experiments"])
