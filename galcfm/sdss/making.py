"""The real survey on disk: catalogue, cutouts and survey, each resumed after interruptions."""

import math
from pathlib import Path

import numpy as np
import pandas as pd

from galcfm.paths import download_folder, require_disk_space, user_path
from galcfm.sdss.catalogue import DATA_RELEASE, PLATES, SKYSERVER, fetch_catalogue, select_galaxies
from galcfm.sdss.cutouts import CUTOUT_SERVICE, DownloadError, Ledger, download_cutouts
from galcfm.survey import Survey, SurveyError, SurveyWriter, assign_split, read_description
from galcfm.survey.disk import IMAGES_A_BLOCK
from galcfm.survey.images import IMAGE_SHAPE, decode_jpeg


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

    Downloads are kept in `data/downloads/sdss` once they are verified, so that a call after an
    interruption fetches only missing files, for this survey or another one. A complete survey in
    `folder` is opened if it was made with the same parameters.

    Arguments:
        folder: Folder of the survey.
        n_galaxies: Number of galaxies, drawn from all; a larger number keeps those of a smaller
            one. 0 takes all.
        seed: Seed of the draw.
        validation: Fraction of galaxies for validation.
        test: Fraction of galaxies for the test split.
        plates: First and last plate of the spectrograph; fewer plates take less time.
        rate: Largest number of cutouts per second.
        server: Address of a SkyServer.

    Returns:
        The survey, its images memory-mapped. Its `parameters` contain the table of cuts, `cuts`,
        and the galaxies without a usable cutout, `left_out`.

    Raises:
        ValueError: A number is out of range.
        SurveyError: `folder` contains a survey made with other parameters, another process is
            making it, or no galaxy is left.
        CatalogueError: The catalogue cannot be fetched.
        DownloadError: The cutouts cannot be downloaded, or another process is downloading them.
        OSError: The disk is too small.
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
    if (user_path(folder) / "survey.json").exists():
        _require_parameters(folder, parameters)
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


def _require_parameters(folder: Path | str, parameters: dict) -> None:
    found = read_description(folder)["parameters"]
    made = {name: found.get(name) for name in parameters}
    if made != parameters:
        raise SurveyError(
            f"{folder} holds a survey made with {made}, not with {parameters}: name another "
            "survey, or delete the folder"
        )


def make_survey(
    catalogue: pd.DataFrame, ledger: Ledger, folder: Path | str, parameters: dict
) -> pd.DataFrame:
    """Write the survey of the galaxies that have cutouts, in the order of `catalogue`.

    The same catalogue and cutouts give the same bytes, independent of interruptions.

    Arguments:
        catalogue: Catalogue with all columns of a survey, see `galcfm.Survey`.
        ledger: Ledger after `download_cutouts`.
        folder: Folder of the survey.
        parameters: How the catalogue was made, as JSON content. The galaxies left out are added.

    Returns:
        The galaxies left out: `object_id`, `attempts`, `reason`.

    Raises:
        DownloadError: Cutouts are still missing, or the ledger is damaged.
        SurveyError: There is no cutout, or the catalogue is not valid.
        OSError: The disk is full.
    """
    known = ledger.table().set_index("object_id")
    known = known.reindex(catalogue["object_id"].astype(str))
    n_waiting = int((~known["status"].isin(["good", "failed"])).sum())
    if n_waiting:
        raise DownloadError(
            f"{n_waiting} cutouts are missing in {ledger.path}: download them, running again "
            "continues"
        )
    good = (known["status"] == "good").to_numpy()
    if not good.any():
        raise SurveyError(f"{ledger.path} has no cutout of these galaxies: no survey is made")
    require_disk_space(user_path(folder).parent, int(good.sum()) * math.prod(IMAGE_SHAPE))
    chosen = catalogue[good].reset_index(drop=True)
    left_out = known.loc[~good, ["attempts", "reason"]].reset_index(names="object_id")
    left_out = left_out.astype({"attempts": int})
    writer = SurveyWriter(folder, len(chosen))
    names = chosen["object_id"].tolist()
    for start in range(0, len(names), IMAGES_A_BLOCK):
        block = [decode_jpeg(ledger.jpeg(name)) for name in names[start : start + IMAGES_A_BLOCK]]
        writer.put(writer.partial, start, np.stack(block))
    writer.finish(chosen, parameters | {"left_out": left_out.to_dict("records")})
    return left_out
