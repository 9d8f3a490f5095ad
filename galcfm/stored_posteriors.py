"""Posteriors of a survey's galaxies: drawing, checking and storing them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from tqdm import tqdm

from galcfm.metrics import LogDensities
from galcfm.paths import damage_in_a_sentence, no_bar, replacing, user_path
from galcfm.properties import Declaration
from galcfm.survey import Survey

AGAIN = "Run the notebook 03_posterior_sampling again."


def save_posteriors(posteriors, path: Path | str) -> None:
    """Write the Dataset of `Posterior.infer` as netCDF-4, group `posterior`, as ArviZ reads it.

    Raises:
        OSError: The file cannot be written, or it exists and contains no posteriors.
    """
    with replacing(path, load_posteriors) as temporary:
        posteriors.to_netcdf(temporary, group="posterior", engine="h5netcdf")


def load_posteriors(path: Path | str):
    """Read the Dataset that `save_posteriors` wrote.

    Raises:
        ValueError: The file is damaged.
    """
    import xarray

    with (
        damage_in_a_sentence(path, AGAIN),
        xarray.open_dataset(user_path(path), group="posterior", engine="h5netcdf") as posteriors,
    ):
        return posteriors[list(Declaration.of_posteriors(posteriors).property_names)].load()


def samples_array(posteriors) -> np.ndarray:
    """Return the samples `(n, S, d)` of the d properties that a Dataset of posteriors declares."""
    names = Declaration.of_posteriors(posteriors).property_names
    draws = posteriors[list(names)].to_array("property")
    # The last bit of a mean depends on this order in memory.
    draws = np.ascontiguousarray(draws.transpose("chain", "draw", "object_id", "property"))
    return draws.reshape(-1, *draws.shape[2:]).swapaxes(0, 1)


def check_plan(n_test: int, plan: Mapping) -> None:
    """Check before any work that draws with exact densities are among the stored draws.

    `metrics.with_kde_prior` finds them there.

    Arguments:
        n_test: Number of test galaxies.
        plan: Parameters of notebook 03, e.g. its `globals()`.

    Raises:
        ValueError: A draw with a density would not be stored, or would be another draw.
    """
    for name, number, stored in (
        ("n_kl", min(plan["n_kl"], n_test), "n_posteriors"),
        ("n_kl_samples", plan["n_kl_samples"], "n_samples"),
    ):
        if plan[stored] < number:
            raise ValueError(
                f"{stored} is {plan[stored]}, less than {name} = {number}: draws with exact "
                f"densities must be among the stored ones; raise {stored} or lower {name}"
            )
    if plan["steps"] != plan["density_steps"]:
        raise ValueError(
            f"steps is {plan['steps']} and density_steps {plan['density_steps']}: the same draws "
            "need the same number; make them equal"
        )


def pathways(posterior, galaxy: Survey, n_samples: int, steps: int, seed: int = 0) -> np.ndarray:
    """Return the paths of one galaxy's draws from noise to posterior.

    Arguments:
        posterior: Model, a `Posterior`.
        galaxy: Survey of one galaxy.
        n_samples: Number of paths.
        steps: Number of Runge-Kutta steps.
        seed: Seed of the noise; two models given the same seed start from the same noise.

    Returns:
        Properties in physical units, `(steps + 1, n_samples, d)`.
    """
    from galcfm.flow import standard_normal
    from galcfm.posterior import galaxy_seeds

    x_0 = standard_normal(galaxy_seeds(galaxy.object_id, seed), n_samples, posterior.flow.dim)
    condition = posterior.encode_survey(galaxy).to(posterior.device)
    places = posterior.flow.trajectories(condition, x_0, steps)
    return posterior.property_scale.invert(places.squeeze(1)).numpy()


def step_error(
    posterior, survey: Survey, n_samples: int, steps: int, reference_steps: int = 100
) -> np.ndarray:
    """Return the effect of fewer Runge-Kutta steps on each draw, for the same noise.

    Returns:
        Absolute differences in units of the training split's standard deviation,
        `(n, n_samples, d)`.
    """
    from galcfm.posterior import galaxy_seeds

    condition = posterior.encode_survey(survey).to(posterior.device)
    seeds = galaxy_seeds(survey.object_id, 0)
    few, many = (
        posterior.flow.sample(condition, n_samples, k, seeds=seeds)
        for k in (steps, reference_steps)
    )
    return (few - many).abs().numpy()


def exact_log_densities(
    posterior,
    prior,
    survey: Survey,
    *,
    n_kl: int,
    n_kl_samples: int,
    steps: int,
    seed: int = 0,
    progress: bool = True,
) -> LogDensities:
    """Return exact log-densities [nat] of posterior and prior, at measured values and at draws.

    Arguments:
        posterior: Model, a `Posterior`.
        prior: Unconditional flow, the `Posterior` with features `"none"`.
        survey: Galaxies with measured properties, at which all densities are evaluated. If a galaxy
            lacks labels, its densities are those of the labels that it has.
        n_kl: Number of galaxies, from the first, with densities at their draws.
        n_kl_samples: Number of draws of each of these galaxies.
        steps: Number of Runge-Kutta steps.
        seed: Seed of the draws.

    Returns:
        Arrays `(n,)`, `(n,)`, `(n_kl, n_kl_samples)` and `(n_kl, n_kl_samples)`; the first two are
        NaN for a galaxy without labels.

    Raises:
        ModelError: A galaxy has only some labels of a block of the models.
    """
    from galcfm.posterior.labels import require_whole_blocks

    for model in (posterior, prior):
        names = model.declaration.property_names
        require_whole_blocks(survey.properties, model.label_columns, names)
    n, n_kl = len(survey), min(n_kl, len(survey))
    condition = posterior.encode_survey(survey, progress)
    nothing = prior.encode(survey.magnitudes)
    truth = np.empty((2, n))
    draws = np.empty((2, n_kl, n_kl_samples))
    with tqdm(total=n, desc="exact densities", unit="galaxy", disable=no_bar(progress)) as bar:
        for start in range(0, n, 64):
            rows = slice(start, min(start + 64, n))
            theta = survey.properties[rows]
            truth[0, rows] = posterior.log_prob_from(theta, condition[rows], steps)
            truth[1, rows] = prior.log_prob_from(theta, nothing[rows], steps)
            rows = slice(start, min(start + 64, n_kl))
            if start < n_kl:
                samples, draws[0, rows] = posterior.sample_with_log_prob(
                    condition[rows], survey.object_id[rows], n_kl_samples, steps, seed
                )
                draws[1, rows] = prior.log_prob_from(samples, nothing[rows], steps)
            bar.update(min(64, n - start))
    return LogDensities(*truth, *draws)


def save_densities(densities: Mapping[str, LogDensities], path: Path | str) -> None:
    """Write log-densities by model to an `.npz` file.

    Raises:
        OSError: The file cannot be written, or it exists and contains no log-densities.
    """
    arrays = {
        f"{model}/{name}": array
        for model, values in densities.items()
        for name, array in values._asdict().items()
    }
    with replacing(path, load_densities) as temporary:
        np.savez_compressed(temporary, **arrays)


def load_densities(path: Path | str) -> dict[str, LogDensities]:
    """Read the log-densities that `save_densities` wrote.

    Raises:
        ValueError: The file is damaged.
    """
    with damage_in_a_sentence(path, AGAIN), np.load(user_path(path), allow_pickle=False) as file:
        models = dict.fromkeys(name.split("/")[0] for name in file.files)
        return {
            model: LogDensities(**{k: file[f"{model}/{k}"] for k in LogDensities._fields})
            for model in models
        }
