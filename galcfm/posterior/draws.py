"""Posterior draws of many galaxies as an xarray Dataset that ArviZ reads."""

import json

import numpy as np
import xarray

from galcfm.posterior.inputs import ModelError
from galcfm.properties import SDSS, Declaration
from galcfm.survey import Survey

N_CHAINS = 4


class Draws(xarray.Dataset):
    """An `xarray.Dataset` with one variable per property, dimensions (chain, draw, object_id)."""

    __slots__ = ()

    @classmethod
    def of(
        cls,
        samples: np.ndarray,
        object_id: np.ndarray,
        columns: dict,
        attrs: dict,
        declaration: Declaration = SDSS,
    ) -> "Draws":
        """Arrange independent samples as four chains, because ArviZ expects chains.

        Arguments:
            samples: Properties in physical units, shape `(n, n_samples, d)`.
            object_id: Identifiers, shape `(n,)`.
            columns: Further values of each galaxy by name, shape `(n,)`.
            attrs: Attributes of the Dataset.
            declaration: Declaration of the d properties, an attribute of the Dataset if it differs
                from that of SDSS.
        """
        if content := declaration.content:
            attrs = attrs | {"declaration": json.dumps(content)}
        n, n_samples, _ = samples.shape
        chains = samples.reshape(n, N_CHAINS, n_samples // N_CHAINS, len(declaration.properties))
        dimensions = ("chain", "draw", "object_id")
        variables = {
            p.name: (dimensions, values, {"units": p.unit, "long_name": p.description})
            for p, values in zip(declaration.properties, chains.transpose(3, 1, 2, 0), strict=True)
        }
        return cls(
            variables,
            coords={
                "chain": np.arange(N_CHAINS),
                "draw": np.arange(chains.shape[2]),
                "object_id": object_id.astype(str),
                **{name: ("object_id", column) for name, column in columns.items()},
            },
            attrs=attrs,
        )

    def to_netcdf(self, path=None, mode="w", *, group="posterior", engine="h5netcdf", **options):
        """Write netCDF-4 to the group `posterior`, where ArviZ reads it.

        `xarray.open_dataset(path, group="posterior")` reads it, too. Further options are passed to
        `xarray.Dataset.to_netcdf`.
        """
        return super().to_netcdf(path, mode, group=group, engine=engine, **options)


def draws_of(posteriors: xarray.Dataset, survey: Survey | None = None) -> np.ndarray:
    """Return the draws `(n, S, d)` of a Dataset returned by `Posterior.infer`.

    Arguments:
        posteriors: The Dataset; its attributes declare the d properties.
        survey: Galaxies that were inferred, to check that they are the same.

    Raises:
        ModelError: Posteriors and survey contain different galaxies, or another order.
        DeclarationError: The posteriors lack a property that they declare.
    """
    names = Declaration.of_posteriors(posteriors).property_names
    ids = posteriors["object_id"].to_numpy().astype(str)
    if survey is not None and not np.array_equal(ids, survey.object_id.astype(str)):
        raise ModelError(
            f"{survey.name} and the posteriors contain different galaxies, or the same in another "
            "order: give the survey that was inferred"
        )
    draws = posteriors[list(names)].to_array("property")
    draws = draws.transpose("object_id", "chain", "draw", "property").to_numpy()
    return draws.reshape(len(ids), draws.shape[1] * draws.shape[2], draws.shape[3])
