import argparse
from dataclasses import replace

from galcfm import exact
from galcfm.paths import data_folder, published_folder


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m galcfm.exact", description=exact.__doc__)
    parser.add_argument("--galaxies", type=int, default=exact.Plan.n_galaxies)
    arguments = parser.parse_args()
    plan = replace(exact.Plan(), n_galaxies=arguments.galaxies)
    result = exact.publish(plan, data_folder() / "cache", published_folder())
    for name, gap in result["extrapolated_gap"].items():
        print(f"{name:6} {gap['mean']:.3f} ± {gap['standard_error']:.3f} nat below the exact one")


if __name__ == "__main__":
    main()
