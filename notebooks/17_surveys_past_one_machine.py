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
# # Surveys past one machine
#
# One call infers a catalogue of any size and resumes after any interruption,
# with the same bits however the catalogue is cut. On two cores, two workers do
# {glue:text}`scaling_share` times the work of one, and neither time nor memory
# per galaxy grows from a thousand to a million galaxies. A distilled model draws
# {glue:text}`student_faster:.0f` times as fast as twelve Runge–Kutta steps, and
# no classifier distinguishes its draws from those of a hundred steps.
#
# Rubin's LSST will measure some ten billion galaxies, more than one machine
# holds. The catalogue is cut into partitions, and each is read, checked,
# inferred and written by itself, on the threads of a laptop or on a cluster.
# Here simulated test galaxies play the part of yours.
#
# Parameters after `results` belong to the distilled models, whose result is
# stored; they change something only with `results = "made"`. Some minutes are
# enough for
#
# ```bash
# papermill notebooks/17_surveys_past_one_machine.ipynb out.ipynb \
#     -p results made -y "jumps: [1, 2]" -p n_steps 3000 -p n_compared 40
# ```

# %% mystnb={"code_prompt_show": "Show the parameters", "code_prompt_hide": "Hide the parameters"} tags=["parameters", "hide-input"]
profile = "quick"  # folder of the run: smoke, quick, paper or sdss
run = ""  # name of a rerun: data/runs/PROFILE-RUN
survey = "quick"  # folder of the survey: data/surveys/SURVEY
n_shown = 120  # test galaxies that play the part of yours; not in the paper
n_draws_shown = 100  # draws per galaxy; the paper's 1,000
results = "published"  # students; or "made": now, with the values below
jumps = [1, 2, 4, 8]  # numbers of jumps, one student each
teacher_steps = [1, 2, 12]  # numbers of steps of the teacher; the paper's 100
n_galaxies = 60_000  # galaxies of the catalogue, a tenth of them for tests
n_conditions = 60_000  # conditions that students learn from
n_pairs = 24  # draws of the teacher for each of them
n_steps = 30_000  # batches of each training
batch_size = 2048  # draws per batch
n_compared = 200  # galaxies whose draws are compared
n_draws = 1000  # draws for each of them
n_covered = 5000  # galaxies that measure coverage
n_timed = 200  # galaxies whose draws are timed
rounds = 5  # rounds of timing

# %% mystnb={"code_prompt_show": "Show the imports", "code_prompt_hide": "Hide the imports"} tags=["hide-input"]
# %matplotlib inline
import tempfile
import textwrap
import warnings
from pathlib import Path

import pandas as pd
from astropy.table import Table
from distributed import Client, LocalCluster
from myst_nb import glue

from galcfm import Survey, paths, runs
from galcfm.catalogue import infer_catalogue
from galcfm.properties import MAGNITUDES
from studies import past_one_machine, students

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of progress bars
    import lsdb

pd.set_option("display.max_colwidth", None)
folder = runs.open_run("17_surveys_past_one_machine", globals())
galaxies = Survey.load(paths.survey_folder(survey)).split("test")
galaxies = galaxies.select(range(min(n_shown, len(galaxies))))
model = paths.published_folder() / "models" / "photometry"
place = Path(tempfile.mkdtemp())

# %% [markdown]
# ## Many files in, one catalogue out
#
# A source is a file, a folder of files, or a pattern of their paths. Parquet,
# FITS and CSV may be mixed. Below, one row holds a missing-value code, and one
# file is truncated.

# %%
columns = ["object_id", "ra", "dec", *MAGNITUDES]
table = galaxies.catalogue[columns].copy()
third = len(table) // 3
parts = place / "parts"
parts.mkdir()
flawed = table[:third].copy()
flawed.loc[2, "mag_u"] = -9999.0
flawed.to_parquet(parts / "a.parquet")
Table.from_pandas(table[third : 2 * third]).write(parts / "b.fits")
table[2 * third :].to_csv(parts / "c.csv", index=False)
whole = (parts / "a.parquet").read_bytes()
(parts / "d.parquet").write_bytes(whole[: len(whole) // 2])

told = {"unit": "AB", "total": True, "dereddened": True}
told |= {"n_samples": n_draws_shown, "progress": False}
made = infer_catalogue(model, parts, place / "posteriors", **told)
print(f"{made.used} of {made.rows} rows inferred, {made.rejected} rejected")
for reason in made.failed.values():
    print(textwrap.fill(reason.replace(str(place), "…"), 76))

# %% tags=["words", "hide-input"]
rejected = made.rejected_rows()
rejected["file"] = rejected["file"].map(lambda name: Path(name).name)
rejected.set_index("file").rename_axis(None)

# %% [markdown]
# For each posterior the result has mean, median, 16th and 84th percentile, all
# covariances and the flags of {doc}`15_your_own_galaxies`, with units that
# astropy and TOPCAT read; on request (`n_draws`), also draws, in a nested
# column.
#
# When the damaged file has been replaced, the same call does what is left:

# %%
table[:third].to_parquet(parts / "d.parquet")
again = infer_catalogue(model, parts, place / "posteriors", **told)
print(
    f"{again.used} of {again.rows} rows inferred, {len(again.failed)} failed"
)

# %% [markdown]
# ## The same bits, however the catalogue is cut
#
# The noise of a galaxy depends on its identifier alone, and its draws are
# computed by themselves. A row is therefore independent of the partitions and
# of the number of workers, on processors of one kind. Other processors and
# GPUs agree to the rounding of float32.

# %%
table.to_parquet(place / "table.parquet")
one = infer_catalogue(model, place / "table.parquet", place / "one", **told)
options = {"n_workers": 2, "threads_per_worker": 1, "processes": False}
cluster = LocalCluster(dashboard_address=":0", **options)
with cluster, Client(cluster):
    cut = infer_catalogue(
        model,
        place / "table.parquet",
        place / "cut",
        rows_a_partition=7,
        **told,
    )
n_partitions = len(list((cut.folder / "records").iterdir()))
equal = cut.table().equals(one.table())
print(f"{n_partitions} partitions on two workers; equal to the bit: {equal}")

# %% [markdown]
# ## Catalogues on the sky
#
# A HATS catalogue is already cut by the sky: its partitions are pixels of
# HEALPix, smaller where galaxies are dense. What [LSDB](https://docs.lsdb.io)
# has open is inferred with everything that was done to it: a cone, a cut in
# magnitude, a match with another survey. LSDB reads the result as a table.

# %%
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    ours = lsdb.from_dataframe(table, ra_column="ra", dec_column="dec")
    ours.write_catalog(place / "hats", catalog_name="ours", progress_bar=False)
    bright = lsdb.open_catalog(place / "hats").query("mag_r < 17")
    sky = infer_catalogue(model, bright, place / "bright", **told)
    catalogue = lsdb.from_dataframe(
        sky.table(), ra_column="ra", dec_column="dec"
    )
    massive = catalogue.query("log_stellar_mass_p16 > 10.5")
    n_massive = len(massive.compute(progress_bar=False))
print(f"{n_massive} of {sky.used} galaxies with r < 17 have log M⋆ > 10.5")

# %% [markdown]
# ## From the shell, and on a cluster
#
# ```bash
# galcfm infer "parts/*.parquet" --model photometry --out posteriors \
#     --unit AB --total --dereddened --workers 2
# galcfm show posteriors
# ```
#
# The command shows its progress and the address of Dask's dashboard.
# `--scheduler tcp://host:8786` uses the workers of an existing cluster. On a
# machine with SLURM, for instance, `dask-jobqueue` asks for the workers:
#
# ```python
# from dask.distributed import Client
# from dask_jobqueue import SLURMCluster
#
# cluster = SLURMCluster(
#     queue="regular", cores=32, processes=32, memory="64GB",
#     walltime="04:00:00",
#     job_script_prologue=["export OMP_NUM_THREADS=1"],
# )
# cluster.adapt(maximum_jobs=40)
# with Client(cluster):
#     infer_catalogue(
#         "photometry", "hats/object", "posteriors",
#         unit="AB", total=True, dereddened=True,
#     )
# ```
#
# Workers need galcfm and must see source and destination under the same paths.
# A worker uses one thread and holds one partition. When a job's time is over,
# call again. Workers on one machine are tested, several machines are not.
#
# ## What a survey would cost
#
# The table scales the time per galaxy measured above
# ({glue:text}`milliseconds` ms for {glue:text}`n_draws_shown:.0f` draws on one
# core) to larger catalogues. We assume at most a thousand cores and 0.04 US
# dollars per core hour. None of this has been run at such a size.

# %% tags=["hide-input"]
cost = past_one_machine.cost_of(one.folder)
sizes = {"10⁶": 1e6, "DESI, 4·10⁷": 4e7, "10⁹": 1e9, "LSST, 10¹⁰": 1e10}
plans = pd.DataFrame(
    {
        name: past_one_machine.costs(n, cost["seconds"], cost["bytes"])
        for name, n in sizes.items()
    }
)
plans = plans.T.map(lambda x: f"{x:,.0f}" if x >= 10 else f"{x:.1f}")
plans.rename_axis("galaxies", axis=1)

# %% [markdown]
# Sizes are upper limits, because much of a short file describes its columns.
# With partitions of a hundred thousand rows (`rows_a_partition`; the default
# is 20,000) Dask's scheduler has ten thousand tasks for a billion galaxies.
# Infer ten billion in ten calls, one part of the sky each.
#
# ## Measured
#
# *Interruptions.* `python benchmarks/catalogue.py` disturbs the inference of
# {glue:text}`fault_rows:,d` rows in all ways at once (a disk that fills, a
# scheduler that is killed, workers that are killed three times) and compares the
# result with an undisturbed one. Each row occurs once: {glue:text}`rows_once`.
# The two results are equal to the bit: {glue:text}`rows_equal`.
#
# *Workers.* With {glue:text}`scaling_draws:.0f` draws per galaxy, one worker
# infers {glue:text}`one_worker:.1f` and two workers {glue:text}`two_workers:.1f`
# galaxies per second on two cores, {glue:text}`scaling_share` times as many.
#
# *Size.* In the table each galaxy has eight draws in one step: the time is
# that of reading, checking and writing, on one core.

# %% tags=["hide-input"]
measured = past_one_machine.MEASURED.read(
    paths.published_folder() / "catalogue.json"
)
growth = past_one_machine.catalogue_growth(measured["growth"]["found"])
growth.rename_axis("galaxies", axis=1).rename_axis(None)

# %% tags=["remove-cell"]
faults = measured["faults"]["found"]
scaling = measured["scaling"]["found"]
quoted = {
    "fault_rows": int(faults["rows"]),
    "rows_once": "yes" if faults["rows_once"] else "no",
    "rows_equal": "yes" if faults["equal"] else "no",
    "scaling_draws": float(scaling["n_samples"]),
    "one_worker": float(scaling["galaxies_a_second"]["1"]),
    "two_workers": float(scaling["galaxies_a_second"]["2"]),
    "scaling_share": f"{2 * scaling['share_of_linear']:.2f}",
    "milliseconds": f"{1e3 * cost['seconds']:.0f}",
    "n_draws_shown": float(n_draws_shown),
}
for name, value in quoted.items():
    glue(name, value, display=False)

# %% [markdown]
# ## Fewer evaluations per draw
#
# A draw in twelve Runge–Kutta steps costs 48 evaluations of the velocity. A
# *student* learns from pairs of noise and draw, made by the trained flow (its
# *teacher*), to go from one to the other in one, two, four or eight jumps:
# distillation {cite:p}`Luhman2021,Salimans2022`, in `studies.distillation`. The
# teacher is the published photometry model.
#
# A classifier is given draws of the student and of the teacher in a hundred
# steps; where they are alike, its accuracy is a half. One classifier judges
# each galaxy by itself (a network), another all galaxies at once (boosted
# trees). The teacher in one and in two steps shows what these classifiers can
# find.

# %% mystnb={"figure": {"caption": "Accuracy of classifiers that separate draws in few evaluations from those of the teacher in a hundred steps, for simulated galaxies that neither has seen. Students in one to eight jumps stay at one half: nothing distinguishes them. The teacher in one step (4 evaluations) is recognised.", "name": "fig-students"}, "image": {"alt": "Accuracy of the classifiers against the number of evaluations per draw, 1 to 48. Students lie at 0.50 throughout. The teacher lies at 0.57 with 4 evaluations, near 0.50 with 8 and at 0.50 with 48. A dotted line marks 0.53."}} tags=["hide-input"]
plan = students.Plan.of(globals())
result = students.STUDY.result(results, folder, plan)
found = result.content
past_one_machine.student_accuracy(
    found, allowed=0.53, source="simulated survey"
)

# %% tags=["full-width", "hide-input"]
past_one_machine.students(found)

# %% [markdown]
# A single jump suffices. Its draws are distinguished from those of a hundred
# steps with an accuracy of {glue:text}`student_c2st:.3f` ±
# {glue:text}`student_c2st_error:.3f`; the teacher's single step has
# {glue:text}`step_c2st:.3f`. The student's coverage equals the teacher's, and
# it draws {glue:text}`student_faster:.0f` times as fast as twelve steps. Two
# steps of the teacher are hardly distinguished either. We did not try an image
# model. A student has no density, so keep the teacher for $\log p$. The
# student of one jump is published as `student`:
#
# ```bash
# galcfm infer "parts/*.parquet" --model student --out posteriors \
#     --unit AB --total --dereddened
# ```

# %% tags=["remove-cell"]
of_student = min(found["student"].values(), key=lambda of: of["velocities"])
few_steps = list(found["teacher"].values())
glue("student_c2st", float(of_student["c2st"]), display=False)
glue("student_c2st_error", float(of_student["c2st_error"]), display=False)
glue("step_c2st", float(few_steps[0]["c2st"]), display=False)
faster = few_steps[-1]["seconds"] / of_student["seconds"]
glue("student_faster", float(faster), display=False)

# %% [markdown]
# ## What to take away
#
# - Posteriors of a catalogue of any size take one call or one command; repeat it
#   to resume.
# - Results do not depend on how the catalogue is cut.
# - For draws without densities the distilled model is an order of magnitude
#   faster.

# %% [markdown]
# ## Exercises
#
# **Years on this machine.** How long would LSST's ten billion galaxies take on
# the two workers above, with as many draws?

# %% mystnb={"code_prompt_hide": "Answer", "code_prompt_show": "Answer"} tags=["hide-cell"]
years = 1e10 / scaling["galaxies_a_second"]["2"] / (86_400 * 365.25)
print(f"{years:.1f} years")

# %% [markdown]
# **What may depend on the cut?** The noise of a galaxy depends on its
# identifier. Why would the same posteriors differ in their last bits if galaxies
# were drawn in blocks of any size, and when does it matter?
#
# <details><summary>Answer</summary>
#
# A matrix product adds its terms in an order that depends on its shape, and
# sums of floating-point numbers depend on the order. The differences are far
# below any error of the posterior. But only equality to the bit lets you check
# a rerun, or a copied file, without a tolerance, which could hide an error.
#
# </details>
