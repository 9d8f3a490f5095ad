from dataclasses import replace

from galcfm.paths import data_folder
from studies import exact
from studies.stored import read_command

SMALL = exact.Plan(
    n_galaxies=2,
    n_bank=3000,
    emulator_steps=30,
    n_particles=60,
    moves=1,
    last_moves=2,
    n_rows=100,
    many_epochs=1,
    n_draws=40,
    survey={"n_galaxies": 200, "seed": 1, "validation": 0.2, "test": 0.2},
    recipe={"width": 16, "photometry_max_epochs": 1, "draws_per_galaxy": 1},
)


def main(arguments: list[str] | None = None) -> None:
    options = read_command(
        "exact", exact.__doc__, arguments, galaxies={"type": int, "default": exact.Plan.n_galaxies}
    )
    plan = replace(exact.Plan(), n_galaxies=options.galaxies)
    result = exact.publish(
        SMALL if options.smoke else plan, data_folder() / "cache", options.folder, options.command
    )
    for name, gap in result["extrapolated_gap"].items():
        print(f"{name:6} {gap['mean']:.3f} ± {gap['standard_error']:.3f} nat below the exact one")


if __name__ == "__main__":
    main()
