"""Posterior draws of many galaxies, as xarray has them and ArviZ reads them."""

import xarray

__all__ = ["Draws"]


class Draws(xarray.Dataset):
    """An `xarray.Dataset` with a variable a property, dimensions (chain, draw, object_id)."""

    __slots__ = ()

    def to_netcdf(self, path=None, mode="w", *, group="posterior", engine="h5netcdf", **options):
        """Write netCDF-4 as ArviZ reads it: into the group `posterior`.

        `xarray.open_dataset(path, group="posterior")` reads it too. Further options are those of
        `xarray.Dataset.to_netcdf`.
        """
        return super().to_netcdf(path, mode, group=group, engine=engine, **options)
