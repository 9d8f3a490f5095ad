"""Posterior draws of many galaxies, as xarray has them and ArviZ reads them."""

import numpy as np
import xarray

from galcfm.properties import PROPERTIES

__all__ = ["N_CHAINS", "Draws"]

N_CHAINS = 4


class Draws(xarray.Dataset):
    """An `xarray.Dataset` with a variable a property, dimensions (chain, draw, object_id)."""

    __slots__ = ()

    @classmethod
    def of(cls, samples: np.ndarray, object_id: np.ndarray, columns: dict, attrs: dict) -> "Draws":
        """Arrange independent samples as four chains, because ArviZ expects chains.

        Arguments:
            samples: Properties in physical units, shape `(n, n_samples, 5)`.
            object_id: Identifiers, shape `(n,)`.
            columns: Further values of each galaxy by name, shape `(n,)`.
            attrs: Attributes of the whole.
        """
        n, n_samples, _ = samples.shape
        chains = samples.reshape(n, N_CHAINS, n_samples // N_CHAINS, len(PROPERTIES))
        return cls(
            {
                p.name: (
                    ("chain", "draw", "object_id"),
                    chains[..., k].transpose(1, 2, 0),
                    {"units": p.unit, "long_name": p.description},
                )
                for k, p in enumerate(PROPERTIES)
            },
            coords={
                "chain": np.arange(N_CHAINS),
                "draw": np.arange(chains.shape[2]),
                "object_id": object_id.astype(str),
                **{name: ("object_id", column) for name, column in columns.items()},
            },
            attrs=attrs,
        )

    def to_netcdf(self, path=None, mode="w", *, group="posterior", engine="h5netcdf", **options):
        """Write netCDF-4 as ArviZ reads it: into the group `posterior`.

        `xarray.open_dataset(path, group="posterior")` reads it too. Further options are those of
        `xarray.Dataset.to_netcdf`.
        """
        return super().to_netcdf(path, mode, group=group, engine=engine, **options)
