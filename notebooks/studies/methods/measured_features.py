"""A flow on photometry and on numbers that were measured on each image."""

import time
from abc import abstractmethod
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from galcfm.paths import replacing
from galcfm.survey import Survey
from studies.methods.spline_flow import SplineFlow

BLOCK = 256


class MeasuredFlow(SplineFlow):
    """`SplineFlow` with measured features; what is measured once is kept.

    Arguments:
        processes: Number of processes that measure.
        options: Options of `SplineFlow`.
    """

    def __init__(self, *, processes: int = 1, **options):
        super().__init__(**options)
        self.processes, self._known = processes, pd.DataFrame()

    @abstractmethod
    def measure(self, part: Survey) -> pd.DataFrame:
        """Return numbers of each galaxy, one row per galaxy in their order; NaN where unknown."""

    def fit(self, survey: Survey, *, folder: Path | None = None, progress: bool = False):
        """Measure what is trained on, and train."""
        self._folder, self._progress, self.middle = folder, progress, None
        if folder is not None:
            kept = [pd.read_parquet(path) for path in sorted(folder.glob("measured-*.parquet"))]
            self._known = pd.concat(kept) if kept else self._known
        return super().fit(survey, folder=folder, progress=progress)

    def features(self, survey: Survey) -> np.ndarray:
        """Return photometric features, then the measured ones, `(n, f)`."""
        from joblib import Parallel, delayed

        wanted = pd.Index(survey.object_id)
        missing = np.flatnonzero(~wanted.isin(self._known.index))
        blocks = [missing[start : start + BLOCK] for start in range(0, len(missing), BLOCK)]
        todo = (delayed(self._measured)(survey.select(rows)) for rows in blocks)
        found = Parallel(self.processes, return_as="generator", pre_dispatch="2*n_jobs")(todo)
        for table in tqdm(found, "measuring", len(blocks), disable=not (self._progress and blocks)):
            self._known = pd.concat([self._known, table])
        # What cannot be measured lies in the middle.
        values = self._known.loc[wanted].drop(columns="seconds")
        values = values.replace([np.inf, -np.inf], np.nan)
        if self.middle is None:
            # `fit` asks for the training split first.
            self.middle = values.median()
            if self.middle.isna().any():
                none = ", ".join(self.middle.index[self.middle.isna()])
                raise ValueError(f"{survey.name}: {none} could be measured on none of its images")
        values = values.fillna(self.middle)
        return np.concatenate([super().features(survey), values.to_numpy(np.float64)], axis=1)

    @property
    def seconds_a_galaxy(self) -> float:
        """Return the mean time in which a picture is measured [s]."""
        return float(self._known["seconds"].mean())

    def _measured(self, part: Survey) -> pd.DataFrame:
        started = time.monotonic()
        table = self.measure(part).set_index(part.object_id)
        table["seconds"] = (time.monotonic() - started) / len(part)
        if self._folder is not None:
            path = self._folder / f"measured-{part.object_id[0]}.parquet"
            with replacing(path) as temporary:
                table.to_parquet(temporary)
        return table
