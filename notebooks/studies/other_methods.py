"""Other methods on the same galaxies: every way that the paper names, and what each costs.

`python -m studies.other_methods` fits the methods of `studies.methods` to the survey of the
account, judges them on the same test galaxies and writes `data/published/methods.json`, galaxy by
galaxy `methods.parquet`, and draws of the first three galaxies by all methods,
`methods_draws.parquet`; called again, it goes on where it was stopped. Several processes can share
the work, each with some `--rows`; times are then longer. A row is made again when its method or its
settings change, and not when another's do. Each method is tried with as many settings, chosen on
validation.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from studies import methods
from studies.methods.base import Method, labelled
from studies.methods.conditional import Conditional
from galcfm.paths import replacing, run_folder
from galcfm.properties import PROPERTY_NAMES
from galcfm.provenance import code_digest, digest, provenance
from studies import account
from studies.judging import against_exact, judge, of_fewer, of_properties
from studies.stored import KeptTrainings, key_of, read_command
from studies.training_seeds import over_trainings
from galcfm.survey import Survey
from galcfm.training import RECIPES, Recipe

__all__ = ["LABEL", "ROWS", "Plan", "Row", "gain_over", "made", "run", "summary"]


@dataclass(frozen=True)
class Row:
    """One method of the table.

    Arguments:
        label: in words.
        source: the paper that it is from.
        method: name of a class in `studies.methods`.
        options: of that class; `descent` and `recipe` are changes of the plan's.
        tries: further options, of which those with the best density on validation are taken.
        beside: the row of this paper that sees the same: what it gains is over this.
        pictures: whether it sees any.
        n_galaxies: test galaxies that it is judged on; `None` for all.
        note: what is simplified against the source.
    """

    label: str
    source: str
    method: str
    options: dict = field(default_factory=dict)
    tries: tuple[dict, ...] = ({},)
    beside: str = "image"
    pictures: bool = True
    n_galaxies: int | None = None
    note: str = ""


RATES = tuple({"descent": {"learning_rate": rate}} for rate in (5e-4, 1.5e-3, 4e-3))
OUR_RATES = tuple({"recipe": {"learning_rate": rate}} for rate in (5e-4, 1.5e-3, 4e-3))
# An encoder takes fewer epochs, as this book's own does.
SEEING = {"descent": {"max_epochs": 16}}
TOLD = {"redshift": True, "errors": True}
OURS_TOLD = {"use_redshift": True, "use_magnitude_errors": True}
ROWS = {
    "photometry": Row(
        "this paper, photometry",
        "Yunus et al. 2025",
        "FlowMatching",
        {"model": "photometry"},
        OUR_RATES,
        "photometry",
        False,
        note="The recipe was chosen before, on other surveys.",
    ),
    "image": Row(
        "this paper, photometry and picture",
        "Yunus et al. 2025",
        "FlowMatching",
        {"model": "image"},
        OUR_RATES,
        note="The recipe was chosen before, on other surveys; pixels of 1.2″ of the central 38″.",
    ),
    "photometry_told": Row(
        "this paper, photometry, its errors and redshift",
        "Yunus et al. 2025",
        "FlowMatching",
        {"model": "photometry", "recipe": OURS_TOLD},
        OUR_RATES,
        "photometry_told",
        False,
    ),
    "npe": Row(
        "neural posterior estimation, splines",
        "Hahn & Melchior 2022",
        "SplineFlow",
        {},
        RATES,
        "photometry",
        False,
        note="The inputs of this paper: what the inference alone changes.",
    ),
    "sedflow": Row(
        "neural posterior estimation, inputs of SEDflow",
        "Hahn & Melchior 2022",
        "SplineFlow",
        {"kind": "affine", "transforms": 5, **TOLD},
        RATES,
        "photometry_told",
        False,
        note="Masked autoregressive flow on magnitudes, errors and redshift, as SEDflow; trained "
        "on this survey's population, not on SEDflow's prior, and a third as deep.",
    ),
    "cold": Row(
        "flow matching trained as the rows below",
        "control",
        "FlowVariant",
        {"encoder": "paper", **SEEING},
        RATES,
        note="The image model by the training of the other methods: it does not start from a "
        "photometry model, has half the features of the picture, and turns a batch at a time.",
    ),
    "npe_image": Row(
        "neural posterior estimation behind the paper's encoder",
        "Hahn & Melchior 2022",
        "SplineFlow",
        {"encoder": "paper", **SEEING},
        RATES,
        note="Flow matching of the row above is all that is exchanged.",
    ),
    "regression": Row(
        "residual network, picture alone",
        "Wu & Boada 2019; Alfonzo et al. 2024",
        "PictureRegression",
        {"encoder": "resnet", **SEEING},
        RATES,
        note="Eighteen layers, not 34, trained from nothing on 9,000 galaxies in pixels of 1.2″, "
        "not on 95,000 in pixels of 0.4″. As a posterior: one normal distribution for all.",
    ),
    "regression_told": Row(
        "residual network, picture and photometry",
        "Wu & Boada 2019",
        "PictureRegression",
        {"encoder": "resnet", "magnitudes": True, **SEEING},
        RATES,
        note="As before, with the inputs of the image model.",
    ),
    "boosting": Row(
        "gradient boosting on magnitudes and colours",
        "scikit-learn",
        "Boosting",
        {},
        tuple({"learning_rate": rate} for rate in (0.03, 0.1, 0.2)),
        "photometry",
        False,
        note="Coverage is that of split-conformal intervals.",
    ),
    "annuli": Row(
        "resolved fluxes of the cutout in rings",
        "Iglesias-Navarro et al. 2025",
        "AnnulusFlow",
        {},
        RATES,
        note="Rings condition one posterior of the whole galaxy; no posterior a pixel is added up, "
        "as labels are of whole galaxies and of one fibre. Three bands, from an 8-bit JPEG.",
    ),
    "annuli_stamps": Row(
        "resolved fluxes of the simulator's pixels in rings",
        "Iglesias-Navarro et al. 2025",
        "AnnulusFlow",
        {"source": "stamps"},
        RATES,
        note="As before, from the pixels before colours are compressed.",
    ),
    "morphology": Row(
        "measured morphology",
        "Alfonzo et al. 2024",
        "MorphologyFlow",
        {},
        RATES,
        note="Nine statistics of statmorph beside photometry; that paper's own network is the "
        "residual network, and its target, the star formation history, is not among ours.",
    ),
    "aligned": Row(
        "picture aligned with spectrum, frozen",
        "Parker et al. 2024",
        "AlignedFlow",
        {},
        RATES,
        note="A small vision transformer trained from nothing on 9,000 pairs; theirs began with "
        "self-supervision on millions of galaxies. Spectra are noiseless and of whole galaxies.",
    ),
    "aligned_random": Row(
        "the same network as chance made it, frozen",
        "control",
        "AlignedFlow",
        {"alignment": None},
        RATES,
        note="What the alignment adds is the row above less this one.",
    ),
    "latents": Row(
        "latents of an autoencoder of pictures",
        "arXiv 2511.12737",
        "LatentFlow",
        {},
        RATES,
        note="Thirty-two latents of pictures in pixels of 1.2″; a small autoencoder of its own.",
    ),
    "spectra": Row(
        "picture to spectrum to properties",
        "Doorenbos et al. 2024",
        "SpectralDiffusion",
        {"encoder": "paper", **SEEING},
        RATES,
        note="Diffusion of 40 principal components, not of the spectrum itself; rest-frame spectra "
        "of whole galaxies with 0.02 dex of noise, not those of a fibre; no second network chooses "
        "among the generated spectra. The density is a mean over 1,024 of them, and so too low, by "
        "0.02 nat where each tells 2.5 nat more than the picture and all is normal.",
    ),
    "sed": Row(
        "SED fitting, redshift known",
        "Conroy 2013",
        "SedFitting",
        {},
        ({},),
        "photometry_told",
        False,
        100,
        "bagpipes and nautilus with their usual priors; nothing is learned from the survey, so "
        "nothing is tried. Four properties; label noise is added to draws. The ionisation "
        "parameter is fixed at log U = −3, and birth clouds have twice the dust. The labels of "
        "Dn(4000), A_V and star formation rate are those of fibre and emission lines.",
    ),
    "sed_free": Row(
        "SED fitting, redshift free",
        "Conroy 2013",
        "SedFitting",
        {"redshift": False},
        ({},),
        "photometry",
        False,
        100,
        "As before, under the survey's distribution of redshifts.",
    ),
}
LABEL = "label"  # the row of the measured properties among draws
OURS = "studies.methods.ours"
FIRST_SEED = 1  # of the training that settings are chosen with
# Rows that learn nothing of the training split.
UNTRAINED = ("sed", "sed_free")


@dataclass(frozen=True)
class Plan:
    """How much of everything.

    Arguments:
        survey: of the account's plan: `n_galaxies`, `seed`, `validation`, `test`.
        recipe: of this paper's models.
        descent: changes of `studies.methods.Descent`, which a row's own give way to.
        options: changes of the options of rows with a network, for rehearsals.
        fits: the same of SED fitting.
        alignment: changes of how encoders are trained by themselves.
        n_means, n_draws: galaxies of the test split and draws of each.
        n_divergence: galaxies whose divergence from the prior is estimated.
        n_fits: test galaxies of SED fitting; 0 for as many as the row says.
        n_exact: draws held against those of the exact posterior.
        n_spectra: over which densities of the row of spectra are averaged, when it is judged.
        n_shown, n_shown_draws: test galaxies that are shown, and draws of each that are kept.
        n_tries: how many of a row's tries are made.
        processes: that measure pictures, and that fit galaxies.
    """

    survey: dict = field(default_factory=dict)
    recipe: Recipe = account.RECIPE
    descent: dict = field(default_factory=dict)
    options: dict = field(default_factory=dict)
    fits: dict = field(default_factory=dict)
    alignment: dict = field(default_factory=dict)
    n_means: int = 2000
    n_draws: int = 128
    n_divergence: int = 300
    n_fits: int = 0
    n_exact: int = 1000
    n_spectra: int = 1024
    n_shown: int = 3
    n_shown_draws: int = 500
    n_tries: int = 3
    processes: int = 2


def made(row: Row, choice: dict, plan: Plan, seed: int) -> Method:
    """The method of a row before its `fit`.

    Arguments:
        row: of the table.
        choice: one of its tries.
        plan: how much of everything.
        seed: of its training.
    """
    kind = getattr(methods, row.method)
    options = {k: v for k, v in {**row.options, **choice}.items() if k not in ("recipe", "descent")}

    def changes(name):
        return {**row.options.get(name, {}), **choice.get(name, {})}

    if kind is methods.FlowMatching:
        return kind(recipe=replace(plan.recipe, seed=seed, **changes("recipe")), **options)
    if kind is methods.SedFitting:
        return kind(**options, **plan.fits, processes=plan.processes)
    if not issubclass(kind, Conditional):
        return kind(seed=seed, **options)
    descent = {**changes("descent"), **plan.descent, "seed": seed}
    if kind is methods.AlignedFlow and "alignment" not in options:
        options["alignment"] = replace(
            methods.contrastive.ALIGNMENT, **{**plan.alignment, "seed": seed}
        )
    if kind is methods.LatentFlow and plan.alignment:
        options["drawing"] = replace(methods.latents.DRAWING, **plan.alignment)
    if issubclass(kind, methods.measured.MeasuredFlow):
        options["processes"] = plan.processes
    if kind is methods.SpectralDiffusion and "max_epochs" in plan.descent:
        options["property_epochs"] = plan.descent["max_epochs"]
    flows = (methods.SplineFlow, methods.SpectralDiffusion)
    small = {k: v for k, v in plan.options.items() if k != "hidden" or issubclass(kind, flows)}
    return kind(descent=methods.Descent(**descent), **{**options, **small})


def chosen(row: Row, survey: Survey, plan: Plan, seed: int, folder: Path, progress=True):
    """The best of a row's tries on validation, after `fit`, and what was tried.

    Returns:
        The method; its options; and a list of options, mean log-density on validation and seconds.
    """
    held_out, found = labelled(survey, "validation"), []
    best = None
    for choice in row.tries[: plan.n_tries]:
        method = made(row, choice, plan, seed).fit(survey, folder=folder, progress=progress)
        score = np.nan
        if min(len(row.tries), plan.n_tries) > 1:
            score = float(method.log_prob(of_properties(method, held_out), held_out).mean())
        seconds = method.training.get("seconds", 0.0)
        found.append({"options": choice, "log_prob": score, "seconds": seconds})
        if best is None or score > best[0]:
            best = score, method, choice
    return *best[1:], found


def key_of_row(name: str) -> str:
    """What a row depends on beyond what all rows do."""
    row = ROWS[name]
    module = getattr(methods, row.method).__module__
    settings = [row.method, row.options, row.tries, row.n_galaxies, row.beside]
    # The prior of all rows, and what rows of fewer properties are held against, are ours.
    return digest([*settings, code_digest(module), code_digest(OURS)])


class Work:
    """The survey, the models of this paper, and where rows are kept.

    Arguments:
        folder: where `methods.json` and `methods.parquet` go.
        plan: how much of everything.
        command: that makes the results.
        progress: show bars.
    """

    def __init__(self, folder: Path, plan: Plan, command: str = "", progress: bool = True):
        self.plan, self.progress = plan, progress
        drawn = asdict(replace(account.Plan(), **plan.survey)) | {"processes": 0}
        plain = asdict(plan) | {"processes": 0, "survey": drawn}
        key = key_of(
            plain,
            "studies.judging",
            "galcfm.simulate.population",
            "galcfm.simulate.rendering",
        )
        self.keys = {name: key_of_row(name) for name in ROWS}
        self.kept = KeptTrainings(folder, "methods", key, command, plain, row_keys=self.keys)
        self.folder = run_folder("methods", key)

    @cache  # noqa: B019
    def survey(self) -> Survey:
        """The survey of the account with all ties."""
        plan = replace(account.Plan(), **self.plan.survey)
        return account.survey_of(account.ROWS["all"], plan, self.progress)

    def ours(self, name: str, seed: int) -> Method:
        """A model of this paper with its own recipe; kept, so that it is trained once."""
        model = {"prior": {"model": "prior"}}.get(name) or ROWS[name].options
        row = replace(ROWS["photometry"], options=model)
        folder = self.folder / f"ours-{code_digest(OURS)}"
        return made(row, {}, self.plan, seed).fit(
            self.survey(), folder=folder, progress=self.progress
        )

    def make(self, name: str, seed: int) -> None:
        """Fit, judge and store a row for a seed."""
        row, known = ROWS[name], self.kept.results()["rows"].get(name, {})
        survey, tries = self.survey(), known.get("tries")
        test = labelled(survey, "test")
        if row.n_galaxies is not None:
            test = test.select(np.arange(min(self.plan.n_fits or row.n_galaxies, len(test))))
        # What other code left there is not taken for this one's.
        folder = self.folder / f"{name}-{self.keys[name]}"
        if not tries and seed != FIRST_SEED:
            raise ValueError(
                f"settings of {name} are chosen with seed {FIRST_SEED}, which is not there yet: "
                "share the work by --rows, not by --seed"
            )
        if tries:
            method = made(row, known["chosen"], self.plan, seed)
            method.fit(survey, folder=folder, progress=self.progress)
            choice = known["chosen"]
        else:
            method, choice, tries = chosen(row, survey, self.plan, seed, folder, self.progress)
        if hasattr(method, "n_spectra"):
            method.n_spectra = self.plan.n_spectra
        five = method.properties == PROPERTY_NAMES
        found = judge(
            method,
            test,
            n_means=self.plan.n_means,
            n_draws=self.plan.n_draws,
            n_divergence=self.plan.n_divergence,
            prior=self.ours("prior", seed) if five else None,
            seed=seed,
        )
        numbers = found["numbers"] | {
            "n_test": len(test),
            "n_parameters": method.n_parameters,
            "training": method.training,
            "made": provenance(),
        }
        if not row.pictures and row.beside == "photometry" and five:
            numbers["against_exact"] = against_exact(method, test, self.plan.n_exact)
        if hasattr(method, "log_prob_of_true_spectra"):
            given = method.log_prob_of_true_spectra(test)
            numbers["log_prob_of_true_spectra"] = float(given.mean())
        log_prob = found["log_prob"]
        if not five:
            # Of fewer properties: beside the same properties of this paper's model.
            beside = of_fewer(self.ours(row.beside, seed), method.properties, test)
            gain = log_prob - beside
            numbers["gain_of_fewer"] = {
                "gain": float(gain.mean()),
                "standard_error": float(gain.std(ddof=1) / np.sqrt(len(gain))),
                "log_prob_beside": float(beside.mean()),
            }
        column = pd.Series(log_prob, index=pd.Index(test.object_id, name="object_id"))
        of_row = {"chosen": choice, "tries": tries}
        self.keep_draws(name, method, test)
        self.kept.keep(name, seed, numbers, of_row, column, summary)

    def keep_draws(self, name: str, method: Method, test: Survey) -> None:
        """Keep draws of the galaxies that are shown, beside `LABEL` and those of other rows."""
        shown = test.select(np.arange(min(self.plan.n_shown, len(test))))
        draws = method.sample(shown, self.plan.n_shown_draws).astype(np.float32)
        table = pd.DataFrame(draws.reshape(-1, draws.shape[-1]), columns=list(method.properties))
        table.insert(0, "object_id", np.repeat(shown.object_id, draws.shape[1]))
        labels = shown.catalogue[["object_id", *PROPERTY_NAMES]].assign(row=LABEL)
        table = pd.concat([labels, table.assign(row=name)])
        path = self.kept.table.with_name("methods_draws.parquet")
        with self.kept.lock:
            if path.exists():
                # Rows that are outdated may be of other galaxies.
                others = [row for row in self.kept.results()["rows"] if row != name]
                before = pd.read_parquet(path)
                table = pd.concat([table, before[before["row"].isin(others)]])
            with replacing(path) as temporary:
                table.to_parquet(temporary, compression="zstd")


def gain_over(rows: dict, table: pd.DataFrame, name: str, other: str) -> dict | None:
    """Mean difference of log-densities of two rows, galaxy by galaxy and seed by seed.

    Arguments:
        rows: as stored, by name.
        table: log-density [nat] of each test galaxy, a column `ROW/SEED`.
        name: of the row that gains.
        other: of the one that it is held against.

    Returns:
        As `over_trainings` has it; None where no seed is of both.
    """
    both = [s for s in rows[name]["seeds"] if s in rows.get(other, {"seeds": {}})["seeds"]]
    differences = [table[f"{name}/{s}"] - table[f"{other}/{s}"] for s in both]
    return over_trainings(np.array(differences, dtype=np.float64)) if both else None


def summary(results: dict, table: pd.DataFrame) -> dict:
    """Each row's gain over the models of this paper, with its error over galaxies and trainings.

    Arguments:
        results: as stored, `rows` by name.
        table: log-density [nat] of each test galaxy, a column `ROW/SEED`.

    Returns:
        `results` with, for each row of five properties, `over`: `gain_over` by name of the row of
        this paper.
    """
    rows = {}
    # Rows of another version stay as they are.
    for name in sorted(results["rows"], key=[*ROWS, *results["rows"]].index):
        row, over = results["rows"][name], {}
        if name not in ROWS:
            rows[name] = row
            continue
        fewer = any("gain_of_fewer" in numbers for numbers in row["seeds"].values())
        others = () if fewer else ("photometry", "image", ROWS[name].beside)
        for other in dict.fromkeys(others):
            gain = gain_over(results["rows"], table, name, other)
            if gain and other != name:
                over[other] = gain
        rows[name] = row | {"row": asdict(ROWS[name]), "over": over}
    return results | {"rows": rows}


def run(
    folder: Path,
    plan: Plan,
    names: Sequence[str],
    seeds: Sequence[int],
    *,
    command: str = "",
    progress: bool = True,
) -> dict:
    """Fit and judge the rows for each seed that `folder` does not hold yet.

    Arguments:
        folder: where `methods.json` and `methods.parquet` go.
        plan: how much of everything.
        names: of `ROWS`.
        seeds: of the trainings; a row that is not trained has the first alone.
        command: that makes the results.
        progress: show bars.
    """
    work = Work(folder, plan, command, progress)
    for name, seed in work.kept.missing(names, seeds):
        if name not in UNTRAINED or seed == seeds[0]:
            work.make(name, seed)
    return work.kept.results()


SMALL = Plan(
    survey={"n_galaxies": 80, "validation": 0.2, "test": 0.3, "processes": 1},
    recipe=RECIPES["rehearsal"],
    descent={"max_epochs": 2, "batch_size": 32},
    options={"crop": 96, "bin_factor": 6, "width": 16, "hidden": [16]},
    fits={"n_live": 50, "n_effective": 0},
    alignment={"max_epochs": 2, "batch_size": 32},
    n_means=20,
    n_draws=16,
    n_divergence=5,
    n_fits=2,
    n_exact=50,
    n_spectra=16,
    n_tries=1,
    processes=1,
)


def main(arguments: list[str] | None = None) -> None:
    options = read_command(
        "other_methods",
        __doc__,
        arguments,
        rows={"nargs": "*", "default": None, "choices": list(ROWS), "help": "which"},
        seed={"type": int, "nargs": "*", "default": [1, 2, 3], "help": "which seeds"},
    )
    plan = SMALL if options.smoke else Plan()
    # A fit by sampling takes a minute even where it means nothing.
    names = options.rows or [name for name in ROWS if not (options.smoke and name in UNTRAINED)]
    seeds = options.seed[:1] if options.smoke else options.seed
    results = run(options.folder, plan, names, seeds, command=options.command)
    for name, row in results["rows"].items():
        over = row["over"].get("photometry")
        gain = f"{over['gain']:+.3f} ± {over['standard_error']:.3f} nat" if over else ""
        print(f"{name:18} {gain}")


if __name__ == "__main__":
    main()
