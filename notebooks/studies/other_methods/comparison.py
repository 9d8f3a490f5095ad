"""The comparison: each row's method is fitted, evaluated on the test galaxies and kept."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from galcfm.paths import replacing
from galcfm.properties import PROPERTY_NAMES
from galcfm.provenance import provenance
from galcfm.survey import Survey
from studies import methods
from studies.frame import Place, Trainings, chosen, over_trainings, paired_gain
from studies.methods.autoencoder import DRAWING
from studies.methods.contrastive import ALIGNMENT
from studies.methods.evaluation import compare_with_exact, evaluate, labels_of, marginal_log_prob
from studies.methods.measured_features import MeasuredFlow
from studies.other_methods import LABEL, STUDY, Plan, survey_of
from studies.other_methods.rows import ROWS, Row


def method_of(row: Row, choice: dict, plan: Plan, seed: int) -> methods.Method:
    """Return the method of a row before its `fit`.

    Arguments:
        row: Row of the table.
        choice: One of its tries.
        plan: Sizes of the study.
        seed: Seed of its training.
    """
    kind = getattr(methods, row.method)
    options = {**row.options, **choice}
    recipe, descent = (
        {**row.options.get(name, {}), **choice.get(name, {})} for name in ("recipe", "descent")
    )
    options = {k: v for k, v in options.items() if k not in ("recipe", "descent")}
    if kind is methods.FlowMatching:
        return kind(recipe=plan.training(seed=seed, **recipe), **options)
    if kind is methods.SedFitting:
        fits = {"n_live": plan.n_live, "n_effective": plan.n_effective}
        return kind(**options, **fits, processes=plan.processes)
    if kind is methods.Boosting:
        return kind(seed=seed, **options)
    given = {"max_epochs": plan.max_epochs, "batch_size": plan.batch_size}
    given = {name: value for name, value in given.items() if value is not None}
    if kind is methods.AlignedFlow and "alignment" not in options:
        options["alignment"] = replace(ALIGNMENT, seed=seed, **given)
    if kind is methods.LatentFlow:
        options["drawing"] = replace(DRAWING, **given)
    if issubclass(kind, MeasuredFlow):
        options["processes"] = plan.processes
    if kind is methods.SpectralDiffusion and plan.max_epochs is not None:
        options["epochs"] = plan.max_epochs
    network = {"crop": plan.image_crop, "bin_factor": plan.image_bin, **plan.network}
    if not issubclass(kind, methods.SplineFlow | methods.SpectralDiffusion):
        network.pop("hidden", None)
    return kind(descent=methods.Descent(**{**descent, **given, "seed": seed}), **options, **network)


def row_depends_on(name: str) -> list:
    """Return what a row depends on beside the plan: its settings, and versions of its methods."""
    row = ROWS[name]
    # The prior of all rows, and what rows of fewer properties are compared with, is our model.
    versions = [getattr(methods, row.method).version, methods.FlowMatching.version]
    return [row.method, row.options, row.tries, row.beside, versions]


def make(place: Place, run: Path, plan: Plan, rows: Sequence[str], seeds: Sequence[int]) -> dict:
    """Make the rows for each seed that are missing in a place, and return the results.

    Arguments:
        place: Where results and models go.
        run: Folder of the run, which is not read.
        plan: Sizes of the study.
        rows: Names of `ROWS` to make; all if none is named.
        seeds: Seeds of the trainings to make.
    """
    return Comparison(plan, place).make(chosen(rows, list(ROWS)), seeds)


class Comparison:
    """The rows of the study, fitted to one survey and kept in one place.

    Arguments:
        plan: Sizes of the study.
        place: Where results and models go.
    """

    def __init__(self, plan: Plan, place: Place):
        self.plan, self.place = plan, place
        rows = {name: row_depends_on(name) for name in ROWS}
        self.kept = Trainings(STUDY, place, plan.settings, rows, of_row)
        self.survey = cache(lambda: survey_of(plan))

    def make(self, names: Sequence[str], seeds: Sequence[int]) -> dict:
        """Make the rows for each seed that are missing, and return the results."""
        # The first seed chooses the settings; what is fitted galaxy by galaxy needs no other.
        self.kept.make(names, seeds[:1], self.train)
        trained = [name for name in names if not _method(name).fits_each]
        return self.kept.make(trained, seeds[1:], self.train)

    def ours(self, row: Row, seed: int) -> methods.Method:
        """Return a model of the book with its own recipe; it is trained once."""
        return self._fit(row, {}, seed, self.place.work / "ours")

    def _fit(self, row: Row, choice: dict, seed: int, folder: Path) -> methods.Method:
        method = method_of(row, choice, self.plan, seed)
        return method.fit(self.survey(), folder=folder, progress=True)

    def fitted(self, name: str, seed: int) -> tuple[methods.Method, dict]:
        """Return the method of a row after `fit`, and its `chosen` settings and `tries`.

        The settings are those with the best mean log-density on validation.
        """
        row, known = ROWS[name], self.kept.results()["rows"].get(name, {})
        # What another version left there is not taken for this one's.
        folder = self.place.work / f"{name}-{self.kept.row_keys[name]}"
        if "tries" in known:
            choice = {key: known[key] for key in ("chosen", "tries")}
            return self._fit(row, known["chosen"], seed, folder), choice
        held_out, found = methods.labelled(self.survey(), "validation"), []
        for choice in row.tries[: self.plan.n_tries]:
            method = self._fit(row, choice, seed, folder)
            score = np.nan
            if min(len(row.tries), self.plan.n_tries) > 1:
                score = float(method.log_prob(labels_of(method, held_out), held_out).mean())
            seconds = method.training.get("seconds", 0.0)
            found.append((method, {"options": choice, "log_prob": score, "seconds": seconds}))
        method, best = max(found, key=lambda tried: tried[1]["log_prob"])
        return method, {"chosen": best["options"], "tries": [tried for _, tried in found]}

    def train(self, name: str, seed: int) -> tuple[dict, dict, pd.Series]:
        """Fit and evaluate a row for a seed, and return what `Trainings.keep` takes."""
        row, plan, test = ROWS[name], self.plan, methods.labelled(self.survey(), "test")
        method, choice = self.fitted(name, seed)
        if method.fits_each:
            test = test.select(np.arange(min(plan.n_fits, len(test))))
        if hasattr(method, "n_spectra"):
            method.n_spectra = plan.n_spectra
        five = method.properties == PROPERTY_NAMES
        prior = replace(ROWS["photometry"], options={"model": "prior"})
        log_prob, numbers = evaluate(
            method,
            test,
            n_means=plan.n_means,
            n_draws=plan.n_draws,
            n_divergence=plan.n_divergence,
            prior=self.ours(prior, seed) if five else None,
            seed=seed,
        )
        numbers |= {
            "n_test": len(test),
            "n_parameters": method.n_parameters,
            "training": method.training,
            "made": provenance(),
        }
        if row.beside == "photometry" and five:
            numbers["against_exact"] = compare_with_exact(method, test, plan.n_exact)
        if hasattr(method, "log_prob_of_true_spectra"):
            given = method.log_prob_of_true_spectra(test)
            numbers["log_prob_of_true_spectra"] = float(given.mean())
        if not five:
            # Compared with the same properties of the book's model.
            ours = self.ours(ROWS[row.beside], seed)
            beside = marginal_log_prob(ours, method.properties, test)
            numbers["gain_of_fewer"] = over_trainings([log_prob - beside])
            numbers["gain_of_fewer"]["log_prob_beside"] = float(beside.mean())
        self.keep_draws(name, method, test)
        column = pd.Series(log_prob, index=pd.Index(test.object_id, name="object_id"))
        return numbers, choice, column

    def keep_draws(self, name: str, method: methods.Method, test: Survey) -> None:
        """Keep draws of the galaxies that are shown, beside `LABEL` and those of other rows."""
        shown = test.select(np.arange(min(self.plan.n_shown, len(test))))
        draws = method.sample(shown, self.plan.n_shown_draws).astype(np.float32)
        table = pd.DataFrame(draws.reshape(-1, draws.shape[-1]), columns=list(method.properties))
        table.insert(0, "object_id", np.repeat(shown.object_id, draws.shape[1]))
        labels = shown.catalogue[["object_id", *PROPERTY_NAMES]].assign(row=LABEL)
        table = pd.concat([labels, table.assign(row=name)])
        path = self.kept.table.with_name(f"{STUDY.name}_draws.parquet")
        with self.kept.lock:
            if path.exists():
                # Rows that are outdated may be of other galaxies.
                others = [row for row in self.kept.results()["rows"] if row != name]
                before = pd.read_parquet(path)
                table = pd.concat([table, before[before["row"].isin(others)]])
            with replacing(path) as temporary:
                table.to_parquet(temporary, compression="zstd")


def _method(name: str) -> type[methods.Method]:
    return getattr(methods, ROWS[name].method)


def of_row(name: str, table: pd.DataFrame) -> dict:
    """Return a row's settings, and its gains `over` the book's models.

    Arguments:
        name: Name of the row.
        table: Log-density [nat] of each test galaxy, one column `ROW/SEED` per training.
    """
    five = _method(name).properties == PROPERTY_NAMES
    others = dict.fromkeys(("photometry", "image", ROWS[name].beside) if five else ())
    gains = {other: paired_gain(table, name, other) for other in others if other != name}
    over = {other: gain for other, gain in gains.items() if gain}
    return {"row": asdict(ROWS[name]), "over": over}
