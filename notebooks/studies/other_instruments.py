"""What a picture is worth to deeper and sharper surveys.

`python -m studies.other_instruments` makes a survey of each of the simulator's
`INSTRUMENTS`, trains the photometry and the image model on it by the recipe of the account, three
seeds each, and writes `data/published/other_instruments.json` and, galaxy by galaxy,
`other_instruments.parquet`; called again, it goes on where it was stopped.
"""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from galcfm.paths import run_folder
from galcfm.simulate import INSTRUMENTS
from studies import account
from studies.stored import KeptTrainings, kept_catalogue, kept_pictures, key_of, read_command
from galcfm.survey import Survey

__all__ = ["main", "run", "survey_of"]


def survey_of(name: str, plan: account.Plan, progress: bool = True) -> Survey:
    """The survey of an instrument, of as many galaxies as the account's."""
    drawn = {"validation": plan.validation, "test": plan.test, "instrument": INSTRUMENTS[name]}
    table = kept_catalogue(plan.n_galaxies, plan.seed, **drawn).catalogue
    return kept_pictures(
        f"instrument-{name}",
        table,
        plan.seed,
        [plan.n_galaxies, plan.validation, plan.test],
        instrument=INSTRUMENTS[name],
        processes=plan.processes,
        progress=progress,
    )


def run(
    folder: Path, plan: account.Plan, seeds: Sequence[int], *, command="", progress: bool = True
) -> dict:
    """Train and judge the models of each instrument and seed that `folder` does not hold yet.

    Arguments:
        folder: where `other_instruments.json` and `other_instruments.parquet` go.
        plan: of the account: how much of everything.
        seeds: of the trainings.
        command: that makes the results.
        progress: show bars.
    """
    plain = asdict(plan) | {"processes": 0}
    key = key_of(plain, "studies.other_instruments")
    kept = KeptTrainings(folder, "other_instruments", key, command, plain, group="instruments")
    summary = partial(account.summary, group="instruments", order=tuple(INSTRUMENTS))
    for name, seed in kept.missing(list(INSTRUMENTS), seeds):
        survey, where = survey_of(name, plan, progress), run_folder("other_instruments", key)
        row = account.Row(name)
        numbers, gain = account.compare(row, survey, plan, where, name, seed, progress)
        of_row = {"instrument": asdict(INSTRUMENTS[name]), "n_test": len(gain)}
        kept.keep(name, seed, numbers, of_row, gain, summary)
    return kept.results()


def main(arguments: list[str] | None = None) -> None:
    options = read_command("other_instruments", __doc__, arguments)
    plan, seeds = (account.SMALL, [1]) if options.smoke else (account.Plan(), [1, 2, 3])
    results = run(options.folder, plan, seeds, command=options.command)
    for name, row in results["instruments"].items():
        print(f"{name:10} {row['gain']:+.3f} ± {row['standard_error']:.3f} nat")


if __name__ == "__main__":
    main()
