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
# Rubin's LSST will measure some ten billion galaxies, which no single machine
# holds. Their posteriors need no more than this chapter's call: the galaxies
# are independent, so a catalogue is cut into partitions, each of which is
# read, judged, inferred and written by itself. Nothing is shuffled, nothing
# waits for another, and whatever is killed, the same call does what is not
# done yet. The call runs on the threads of a laptop as on a cluster.
#
# Here some galaxies of the survey's test split stand in for yours: `n_shown` and
# `n_draws_shown` say how many, with how many draws. The other parameters belong
# to the last part, whose result is stored: with `results = "made"` it trains
# students now, with the numbers that they give. Some minutes are enough for
#
# ```bash
# papermill notebooks/17_surveys_past_one_machine.ipynb out.ipynb \
#     -p results made -y "jumps: [1, 2]" -p n_steps 3000 -p n_compared 40
# ```

# %% tags=["parameters", "hide-input"]
profile = "quick"  # folder of the run: smoke, quick, paper or sdss
run = ""  # name of a rerun: data/runs/PROFILE-RUN
survey = "quick"  # folder of the survey: data/surveys/SURVEY
n_shown = 120  # test galaxies that stand in for yours; not in the paper
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

# %% tags=["hide-input"]
# %matplotlib inline
import json
import tempfile
import warnings
from pathlib import Path

import lsdb
import pandas as pd
from astropy.table import Table
from distributed import Client, LocalCluster
from myst_nb import glue

from galcfm import Survey, paths, runs
from galcfm.catalogue import infer_catalogue
from galcfm.properties import MAGNITUDES
from studies import past_one_machine, students
from studies.frame import origin_of

folder = runs.open_run("17_surveys_past_one_machine", globals())
galaxies = Survey.load(paths.survey_folder(survey)).split("test")
galaxies = galaxies.select(range(min(n_shown, len(galaxies))))
model = paths.published_folder() / "models" / "photometry"
place = Path(tempfile.mkdtemp())
pd.set_option("display.max_colwidth", None)

# %% [markdown]
# ## Many files in, one catalogue out
#
# A source is a file, a folder of files, or a pattern of their paths; Parquet,
# FITS and CSV may be mixed. One of these rows has a code for a missing value,
# and one of these files was cut off when it was copied.

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
    print(reason.replace(str(place), "…"))

# %% tags=["words"]
rejected = made.rejected_rows()
rejected.assign(file=rejected["file"].map(lambda name: Path(name).name))

# %% [markdown]
# Of each posterior the mean, the median, the 16th and 84th percentile, all
# covariances and the flags of {doc}`15_your_own_galaxies` are kept, and as
# many draws as you ask for (`n_draws` of `infer_catalogue`; here none), in a
# nested column. The files say
# themselves what their columns are, to astropy as to TOPCAT.

# %% tags=["words"]
first = sorted((made.folder / "dataset").glob("[!_]*.parquet"))[0]
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    found = Table.read(first)
pd.DataFrame(
    {
        "unit": {name: str(found[name].unit or "") for name in found.colnames},
        "description": {n: found[n].description for n in found.colnames},
    }
).iloc[2:12]

# %% [markdown]
# Once the file is whole, the same call does what is left, and touches nothing
# else.

# %%
table[:third].to_parquet(parts / "d.parquet")
again = infer_catalogue(model, parts, place / "posteriors", **told)
print(
    f"{again.used} of {again.rows} rows inferred, {len(again.failed)} failed"
)

# %% [markdown]
# ## However it is cut, the same bits
#
# The noise of a galaxy depends on its identifier alone, and its draws are
# computed by themselves: the last bits of a matrix product depend on what is
# multiplied beside it. So a row does not depend on the partitions, nor on how
# many workers there are, on processors of one kind. Processors of another
# kind, and GPUs, agree to the rounding of float32.

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
pd.Series(
    {
        "partitions": len(list((cut.folder / "records").iterdir())),
        "rows": cut.used,
        "equal to the bit": cut.table().equals(one.table()),
    }
).to_frame("in pieces, on two workers")

# %% [markdown]
# ## On the sky
#
# A HATS catalogue is cut by the sky already: its partitions are pixels of
# HEALPix, smaller where galaxies are dense. What
# [LSDB](https://docs.lsdb.io) has open is inferred with all that was done to
# it: a cone, a cut in magnitude, a match with the fluxes of another survey. The
# result is a folder of Parquet files; LSDB takes it as a table, and
# `hats-import` cuts a large one by pixels again.

# %%
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    lsdb.from_dataframe(table, ra_column="ra", dec_column="dec").write_catalog(
        place / "hats", catalog_name="ours", progress_bar=False
    )
    bright = lsdb.open_catalog(place / "hats").query("mag_r < 17")
    sky = infer_catalogue(model, bright, place / "bright", **told)
    catalogue = lsdb.from_dataframe(
        sky.table(), ra_column="ra", dec_column="dec"
    )
    heaviest = catalogue.query("log_stellar_mass_p16 > 10.5")
    print(f"{len(heaviest.compute(progress_bar=False))} of {sky.used} heavy")

# %% [markdown]
# ## From the shell, and on a cluster
#
# ```bash
# galcfm infer "parts/*.parquet" --model photometry --out posteriors \
#     --unit AB --total --dereddened --workers 2
# galcfm show posteriors
# ```
#
# shows the progress, the time that is left, and the address of Dask's
# dashboard. `--scheduler tcp://host:8786` uses the workers of a cluster that
# is there. From Python the active client of `dask.distributed` does the work;
# on a machine with SLURM, for instance, `dask-jobqueue` asks for the workers:
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
#         "models/photometry", "hats/object", "posteriors",
#         unit="AB", total=True, dereddened=True,
#     )
# ```
#
# Workers need galcfm and must see source and destination under the same
# paths. The model travels to each of them once, also to those that come later
# or in the place of one that was killed; a task is the name of its partition.
# A worker uses one thread and holds one partition, however long the
# catalogue is. When a job's time is over, the disk is full, or the scheduler
# is gone, call again.
#
# ## A plan on paper
#
# What a galaxy has cost here, one core and so many draws, times a catalogue.
# The time grows with the draws; the posterior mean and its errors need some
# hundred of them.

# %%
cost = past_one_machine.cost_of(one.folder)
sizes = {"10⁶": 1e6, "DESI, 4·10⁷": 4e7, "10⁹": 1e9, "LSST, 10¹⁰": 1e10}
plans = pd.DataFrame(
    {
        name: past_one_machine.costs(n, cost["seconds"], cost["bytes"])
        for name, n in sizes.items()
    }
)
print(f"{1e3 * cost['seconds']:.1f} ms and {cost['bytes']:.0f} B a galaxy")
plans.T.map(lambda x: f"{x:,.0f}" if x >= 10 else f"{x:.1f}")

# %% [markdown]
# A price of 0.04 dollars an hour and core is assumed, and a thousand cores at
# most. The bytes of a short file are mostly its description of the columns, so
# that the sizes above are too large for long files. The plan has partitions of
# a hundred thousand rows (`rows_a_partition`; 20,000 if nothing is said): a
# killed worker loses at most the minutes of one, and Dask's scheduler has ten
# thousand tasks for a billion galaxies. Ten billion are best inferred in ten calls, a part of the
# sky each. None of this has been run at such a size.
#
# ## Measured
#
# `python benchmarks/catalogue.py` disturbs a catalogue in all ways at once: on
# a disk that fills, with a scheduler that is killed, with workers that are
# killed three times; and then holds it against the same undisturbed.

# %%
measured = json.loads(
    (paths.published_folder() / "catalogue.json").read_text(encoding="utf-8")
)
faults = measured["faults"]["found"]
print(*faults["ended"], sep="\n")
pd.Series(
    {
        "rows": f"{faults['rows']:,}",
        "each row there once": bool(faults["rows_once"]),
        "equal to the undisturbed": faults["equal"],
    }
).to_frame("after all that")

# %% [markdown]
# Do two workers do twice the work of one? Both infer the same galaxies in
# turn, {glue:text}`scaling_draws:.0f` draws of each, on a machine of two cores;
# what counts is from the first partition to the last.

# %%
scaling = measured["scaling"]["found"]
print(origin_of(measured["scaling"]))
pd.Series(
    {
        "one worker [galaxies/s]": f"{scaling['galaxies_a_second']['1']:.1f}",
        "two workers [galaxies/s]": f"{scaling['galaxies_a_second']['2']:.1f}",
        "share of twice one": f"{scaling['share_of_linear']:.2f}",
    }
).to_frame("median of the pairs")

# %% [markdown]
# And does a galaxy cost more where there are more? For this, each is given eight
# draws in one step, so that a million take minutes: the time is that of
# reading, judging and writing. Each catalogue is inferred by a process of its
# own on one core (`taskset -c 0`), and its memory is that process's highest.

# %%
print(origin_of(measured["growth"]))
past_one_machine.catalogue_growth(measured["growth"]["found"])

# %% [markdown]
# It does not, nor does the memory grow: a worker holds a block of rows.

# %% tags=["remove-cell"]
glue("scaling_draws", float(scaling["n_samples"]), display=False)

# %% [markdown]
# ## In few jumps
#
# A draw by twelve Runge-Kutta steps costs 48 velocities. A *student* learns from
# pairs of noise and draw that the trained flow, its teacher, has made, to jump
# from one to the other at once, or in two, four or eight jumps
# (`studies.distillation`): distillation {cite:p}`Luhman2021,Salimans2022`.
# How much of a posterior is lost by it? A classifier is given draws of the
# student and of the teacher by a hundred steps, and asked which is which; where
# they are alike, its accuracy is a half. Here a network judges each galaxy by
# itself, and boosted trees judge all galaxies at once, each whitened by its own
# posterior, which finds what all have in common. The teacher in one and in two
# steps shows what these classifiers find. The teacher is the published photometry
# model.

# %% mystnb={"figure": {"caption": "Accuracy of a classifier that tells draws of students, in one to eight jumps, and of their teacher, in one, two and twelve steps, from those of the teacher in a hundred, on simulated galaxies that neither has seen. At a half there is nothing to tell them apart by.", "name": "fig-students"}, "image": {"alt": "Accuracy of the classifiers against the number of velocities that a draw costs, 1 to 48: for students and for their teacher two lines, of each galaxy by itself and of all at once, over horizontal lines at 0.5 and at 0.53."}}
plan = students.Plan.of(globals())
result = students.STUDY.result(results, folder, plan)
found = result.content
past_one_machine.student_accuracy(
    found, allowed=0.53, source="simulated survey"
)

# %% tags=["full-width"]
print(result.origin)
past_one_machine.students(found)

# %% [markdown]
# One jump does. Its draws are told from those of a hundred steps with an accuracy
# of {glue:text}`student_c2st:.3f` ± {glue:text}`student_c2st_error:.3f`, where the
# teacher's own single step has {glue:text}`step_c2st:.3f`; its coverage is the
# teacher's, which is outside the band for one and the same share; and it is
# {glue:text}`student_faster:.0f` times as fast as twelve steps. There is not much
# to learn: two steps of the teacher are hardly told from a hundred either. An image model was not tried. And a student has no density: whoever asks
# for $\log p$ keeps the teacher. The student of one jump is published, and
# inferred with as any other model:
#
# ```bash
# galcfm infer "parts/*.parquet" --model student --out posteriors \
#     --unit AB --total --dereddened
# ```

# %% tags=["remove-cell"]
of_student = next(iter(found["student"].values()))
few_steps = list(found["teacher"].values())
glue("student_c2st", float(of_student["c2st"]), display=False)
glue("student_c2st_error", float(of_student["c2st_error"]), display=False)
glue("step_c2st", float(few_steps[0]["c2st"]), display=False)
faster = few_steps[-1]["seconds"] / of_student["seconds"]
glue("student_faster", float(faster), display=False)

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
# were drawn for in blocks of any size, and when does it matter?
#
# <details><summary>Answer</summary>
#
# A product of matrices adds its terms in an order that depends on its shape, and
# sums of floating-point numbers depend on the order. The differences are those
# of rounding, far below any error of the posterior; but only equality to the bit
# lets a rerun, or a file that was copied, be checked by comparing, without a
# tolerance that hides a fault.
#
# </details>
