"""The file `metrics.json` of a run, of notebook 04, which figures and tables read."""

from typing import Any

from galcfm.json_files import Count, JsonFile, object_of

Galaxies = object_of(
    delta_log_p=dict[str, list[float]],
    d_kl=dict[str, list[float]],
    dust_age=list[float],
    truth=list[list[float]],
    posterior_mean=list[list[float]],
)
# What `metrics.evaluate` returns.
Evaluation = object_of(
    n_galaxies=Count,
    delta_log_p=dict[str, dict[str, Any]],
    d_kl=dict[str, dict[str, Any]],
    wasserstein=dict[str, dict[str, float]],
    point_estimates=dict[str, dict[str, float]],
    coverage=dict[str, list[float]],
    galaxies=Galaxies,
)
METRICS = JsonFile(
    "metrics.json",
    object_of(photometry=Evaluation, image=Evaluation, comparison=dict[str, Any]),
    "Run the notebook 04_metrics again.",
)
