"""The real survey on disk: catalogue, cutouts, survey, each continued where it was left."""

from pathlib import Path

import numpy as np

from galcfm.paths import download_folder
from galcfm.sdss.catalogue import DATA_RELEASE, PLATES, SKYSERVER, fetch_catalogue, select_galaxies
from galcfm.sdss.cutouts import CUTOUT_SERVICE, Ledger, download_cutouts, make_survey
from galcfm.survey import Survey, SurveyError, assign_split, read_description


def download_survey(
    folder: Path | str,
    n_galaxies: int = 0,
    seed: int = 1,
    *,
    validation: float = 0.1,
    test: float = 0.1,
    plates: tuple[int, int] = PLATES,
    rate: float = 10.0,
    server: str = SKYSERVER,
    progress: bool = True,
) -> Survey:
    """Download the galaxies of the paper's survey, write them to `folder` and open it.

    What comes over the network is kept in `data/downloads/sdss` once it is verified, so that
    calling again after an interruption asks only for what is missing, for this survey or another.
    A survey that `folder` holds already is opened, if it was made with the same parameters.

    Arguments:
        folder: where the survey goes.
        n_galaxies: number of galaxies, drawn from all; a larger number keeps those of a smaller
            one. 0 takes all.
        seed: of the draw.
        validation: fraction of galaxies for validation.
        test: fraction of galaxies for the test split.
        plates: the first and the last plate of the spectrograph; fewer are sooner there.
        rate: cutouts a second at most.
        server: address of a SkyServer.

    Returns:
        The survey, its images memory-mapped. Its `parameters` hold the table of cuts, `cuts`, and
        the galaxies without a usable cutout, `left_out`.

    Raises:
        ValueError: a number is out of range.
        SurveyError: `folder` holds a survey made with other parameters, another process is making
            it, or no galaxy is left.
        CatalogueError: the catalogue cannot be fetched.
        DownloadError: the cutouts cannot be downloaded, or another process is at it.
        OSError: the disk is too small.
    """
    if n_galaxies < 0:
        raise ValueError(f"n_galaxies is {n_galaxies}: give a number, or 0 for all")
    assign_split([], validation, test)
    parameters = {
        "kind": "sdss",
        "data_release": DATA_RELEASE,
        "n_galaxies": n_galaxies,
        "seed": seed,
        "validation": validation,
        "test": test,
        "plates": list(plates),
    }
    if (Path(folder) / "survey.json").exists():
        found = read_description(folder)["parameters"]
        made = {name: found.get(name) for name in parameters}
        if made != parameters:
            raise SurveyError(
                f"{folder} holds a survey made with {made}, not with {parameters}: name another "
                "survey, or delete the folder"
            )
        return Survey.load(folder)

    downloads, server = download_folder("sdss"), server.rstrip("/")
    rows, counts = fetch_catalogue(
        downloads / "catalogue", plates=tuple(plates), server=server, progress=progress
    )
    catalogue, cuts = select_galaxies(rows, counts, validation=validation, test=test)
    if not len(catalogue):
        raise SurveyError(f"no galaxy of plates {plates[0]} to {plates[1]} passes the cuts")
    if n_galaxies:
        drawn = np.random.default_rng(seed).permutation(len(catalogue))[:n_galaxies]
        catalogue = catalogue.iloc[np.sort(drawn)].reset_index(drop=True)
    with Ledger(downloads / "cutouts.db") as ledger:
        ledger.enrol(catalogue)
        download_cutouts(
            ledger, service=CUTOUT_SERVICE.replace(SKYSERVER, server), rate=rate, progress=progress
        )
        make_survey(
            catalogue, ledger, folder, parameters | {"server": server, "cuts": cuts.to_dict("list")}
        )
    return Survey.load(folder)
