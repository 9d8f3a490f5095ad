"""Controls: what an image of the simulated survey may and may not tell, by numbers alone.

Each control gives a small flow a few more numbers beside the photometry and measures how much the
log-density of the measured properties gains.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage

from galcfm.properties import MAGNITUDES, PROPERTY_NAMES
from galcfm.simulate import frames, render, rendering, simulate_catalogue
from studies import frame
from studies.frame import BOOK_SURVEY, Place, Result, Study, chosen, kept_catalogue, rows_of

STUDY = Study("controls", "12_is_the_survey_real", parameter="results_controls")
# Of the flow and its training.
WIDTH, BATCH_SIZE = 96, 512


@dataclass(frozen=True)
class Control:
    """One question to the simulated survey.

    Arguments:
        sample: Name of the catalogue: `"survey"`, `"blind"` (dust that ignores the inclination),
            `"stamps"`, or `"book"`: the survey `quick`, whose galaxies train and test the book's
            image model.
        features: Columns given beside the photometry.
        question: The features in words.
        properties: Properties whose density is evaluated.
        shuffled: Whether the features are those of another galaxy.
    """

    sample: str
    features: tuple[str, ...]
    question: str
    properties: tuple[str, ...] = PROPERTY_NAMES
    shuffled: bool = False


CONTROLS = rows_of(Control, Path(__file__).with_suffix(".yaml"))
STAMP_FLUXES = CONTROLS["stamp_flux"].features
SHAPE = CONTROLS["shape"].features


@dataclass(frozen=True)
class Plan(frame.Plan):
    """Controls, their surveys and their trainings.

    Arguments:
        controls: Names of the controls, of `CONTROLS`.
        n_survey: Number of galaxies in each of the samples `"survey"` and `"blind"`.
        n_stamps: Number of galaxies that are rendered.
        n_test: Number of test galaxies in these samples.
        n_book: Number of galaxies in the sample `"book"`, which has its own test galaxies.
        controls_seed: Seed of the catalogues.
        trainings: Number of trainings of each flow.
        n_steps: Number of training steps of each flow.
    """

    controls: Sequence[str] = tuple(CONTROLS)
    n_survey: int = 40_000
    n_stamps: int = 12_000
    n_test: int = 4000
    n_book: int = BOOK_SURVEY["n_galaxies"]
    controls_seed: int = 101
    trainings: int = 3
    n_steps: int = 1500

    def sample(self, name: str) -> tuple[pd.DataFrame, int]:
        """Return the features of a sample, made once and kept, and its number of test galaxies."""
        if name == "book":
            return features_of_book(BOOK_SURVEY | {"n_galaxies": self.n_book})
        n, seed = self.n_stamps if name == "stamps" else self.n_survey, self.controls_seed
        key = STUDY.key([name, n, seed, frame.SIMULATOR_VERSION])
        table = frame.kept_table(f"controls-{name}", key, lambda: make_features(name, n, seed))
        return table, self.n_test


def find(results: str, run: Path, plan: Plan) -> Result:
    """Return the published gains, or make them: see `Study.find`."""
    return STUDY.find(results, run, plan.settings, lambda place: make(plan, place))


def make(plan: Plan, place: Place) -> None:
    """Measure the gains of the controls that are not there yet."""
    names = chosen(plan.controls, tuple(CONTROLS), "controls")
    # Which controls are asked for changes none of them.
    key = STUDY.key({k: v for k, v in plan.settings.items() if k != "controls"})
    found = STUDY.stored(place.folder, key) or {"experiments": {}}
    baselines = {}
    for name in names:
        if name not in found["experiments"]:
            control = CONTROLS[name]
            result = gain(*plan.sample(control.sample), control, plan, baselines)
            found["experiments"][name] = result
            found = STUDY.store(place.folder, found, key)


def with_shape(catalogue: pd.DataFrame) -> pd.DataFrame:
    """Return a simulated catalogue with the columns `SHAPE`."""
    return catalogue.assign(
        log_radius=np.log10(catalogue["disc_radius"]),
        cosine=np.cos(np.radians(catalogue["inclination"])),
    )


def features_of_book(survey: Mapping) -> tuple[pd.DataFrame, int]:
    """Return photometry, properties and shapes of a survey that tests an image model.

    Its training galaxies come first, then those of validation, which `log_probabilities` holds
    back as far as a tenth, and last the test galaxies.

    Arguments:
        survey: Arguments of `simulate_catalogue`.

    Returns:
        One row per galaxy, and the number of test galaxies.
    """
    kept = kept_catalogue(**survey)
    parts = [kept.split(name).catalogue for name in ("train", "validation", "test")]
    table = with_shape(pd.concat(parts, ignore_index=True))
    return table[[*MAGNITUDES, *PROPERTY_NAMES, *SHAPE]], len(parts[-1])


def make_features(sample: str, n_galaxies: int, seed: int) -> pd.DataFrame:
    """Return photometry, properties and features of simulated galaxies, one row per galaxy.

    Arguments:
        sample: Name of the sample, see `Control`; `"stamps"` renders each galaxy twice, alone and
            as a cutout.
        n_galaxies: Number of galaxies.
        seed: Seed of the catalogue.
    """
    without = ("inclined_dust",) if sample == "blind" else ()
    table = with_shape(simulate_catalogue(n_galaxies, seed, without=without))
    features = table[[*MAGNITUDES, *PROPERTY_NAMES, *SHAPE]]
    if sample == "stamps":
        pictures = (render(table.iloc[k : k + 64], seed) for k in range(0, n_galaxies, 64))
        measured = pd.concat(map(measure_images, pictures), ignore_index=True)
        fluxes = []
        for number, row in enumerate(table.to_dict("records")):
            rng = np.random.default_rng([seed, 3, number])
            stamp = frames.add_noise(rendering.draw_galaxy(row, rng), rng)
            fluxes.append(stamp.sum(axis=(1, 2), dtype=np.float64))
        measured[list(STAMP_FLUXES)] = 22.5 - 2.5 * np.log10(np.maximum(fluxes, 1e-2))
        features = features.join(measured)
    return features


def measure_images(images: np.ndarray) -> pd.DataFrame:
    """Return six simple measurements on cutouts, one row per cutout.

    Arguments:
        images: Cutouts, uint8 `(n, h, h, 3)`, channels i, r, g.

    Returns:
        `centre`, the mean of the central 8×8 pixels; `red_blue`, the first minus the last channel
        there; `radius` of half the light, pixels; `axis_ratio` of the second moments; `bright`,
        the share of pixels above 60; `texture`, the scatter between neighbouring pixels in the
        border, half the distance between the 16th and 84th percentile.
    """
    size = images.shape[1]
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    distance = np.hypot(x, y)
    border = np.maximum(np.abs(x), np.abs(y)) > size / 2 - size // 8
    rings = np.argsort(distance, axis=None)
    core = np.s_[size // 2 - 4 : size // 2 + 4, size // 2 - 4 : size // 2 + 4]
    rows = []
    for image in images:
        pixels = image.astype(float)
        grey = pixels.mean(axis=-1)
        low, sky, high = np.percentile(grey[border], [16, 50, 84])
        steps = np.diff(grey, axis=1)[border[:, 1:] & border[:, :-1]]
        light = np.where(grey > sky + 3 * max((high - low) / 2, 1), grey - sky, 0)
        label, _ = ndimage.label(light > 0)
        light[label != label[size // 2, size // 2]] = 0
        total = max(light.sum(), 1e-9)
        half = np.searchsorted(light.ravel()[rings].cumsum(), 0.5 * total)
        xx, yy, xy = ((light * p).sum() / total for p in (x * x, y * y, x * y))
        split = np.hypot(xx - yy, 2 * xy)
        rows.append(
            {
                "centre": pixels[core].mean(),
                "red_blue": pixels[core][..., 0].mean() - pixels[core][..., 2].mean(),
                "radius": distance.ravel()[rings][min(half, size**2 - 1)],
                "axis_ratio": np.sqrt(max(xx + yy - split, 0) / max(xx + yy + split, 1e-9)),
                "bright": (grey > 60).mean(),
                "texture": np.subtract(*np.percentile(steps, [84, 16])) / 2,
            }
        )
    return pd.DataFrame(rows)


def gain(table: pd.DataFrame, n_test: int, control: Control, plan: Plan, baselines: dict) -> dict:
    """Return the mean gain in log-density by a control's features over photometry alone.

    Arguments:
        table: Photometry, properties and features, of `make_features`.
        n_test: Number of test galaxies, the last rows.
        control: The control.
        plan: Number of trainings and of their steps.
        baselines: Results of photometry alone from earlier calls, a flow to start from and
            log-densities, by sample, properties and seed; new ones are added.

    Returns:
        `gain` and `standard_error` in nat, `spread_over_trainings`, and the numbers of galaxies.
    """
    magnitudes = table[list(MAGNITUDES)].to_numpy()
    photometry = np.c_[magnitudes[:, 2], -np.diff(magnitudes, axis=1)]
    extra = table[list(control.features)].to_numpy()
    if control.shuffled:
        extra = np.random.default_rng(0).permutation(extra)
    properties = table[list(control.properties)].to_numpy()
    differences = []
    for seed in range(plan.trainings):
        settings = properties, n_test, plan.n_steps, seed
        key = control.sample, control.properties, seed
        if key not in baselines:
            _, start = log_probabilities(photometry, *settings)
            baselines[key] = start, log_probabilities(photometry, *settings, start)[0]
        start, alone = baselines[key]
        differences.append(log_probabilities(np.c_[photometry, extra], *settings, start)[0] - alone)
    return {
        "question": control.question,
        "properties": list(control.properties),
        **frame.over_trainings(differences),
        "n_train": len(table) - n_test,
        "n_test": n_test,
        "trainings": plan.trainings,
    }


def log_probabilities(
    features: np.ndarray, properties: np.ndarray, n_test: int, n_steps: int, seed: int, start=None
):
    """Train a flow, and return the log-density [nat] of test galaxies at their measured properties.

    The flow is trained by AdamW with a cosine schedule and averaged weights. With `start` the
    training continues from that flow, which ignores new columns at first, and keeps the weights
    with the highest log-density of a tenth of the training galaxies, held back; the weights of
    `start` take part in that choice: columns that tell nothing then change nothing.

    Arguments:
        features: Condition, `(n, c)`.
        properties: Measured properties, `(n, d)`.
        n_test: Number of test galaxies, the last rows.
        n_steps: Number of training steps.
        seed: Seed of the weights and batches.
        start: Flow on the first columns of `features`, from an earlier call.

    Returns:
        Log-densities per standardised unit, which cancels in a difference, `(n_test,)`; and the
        flow.
    """
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    n_train = len(features) - n_test
    standardised = (
        (x - x[:n_train].mean(axis=0)) / x[:n_train].std(axis=0) for x in (features, properties)
    )
    condition, theta = (torch.tensor(x, dtype=torch.float32, device=device) for x in standardised)
    held_back = slice(n_train - n_train // 10, n_train)
    torch.manual_seed(seed)
    flow = _flow_from(start, theta.shape[1], condition.shape[1]).to(device)
    rate, decay = (2e-3, 0.998) if start is None else (1e-3, 0.99)
    averaging = torch.optim.swa_utils.get_ema_multi_avg_fn(decay)
    averaged = torch.optim.swa_utils.AveragedModel(flow, multi_avg_fn=averaging)
    trained = averaged.module
    optimiser = torch.optim.AdamW(flow.parameters(), lr=rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, n_steps)
    # Without a start the last weights are kept.
    checks = [] if start is None else range(0, n_steps + 1, max(n_steps // 5, 1))
    best, kept = -torch.inf, None
    for step in range(n_steps + 1):
        if step > 0:
            rows = torch.randint(held_back.start, (BATCH_SIZE,), device=device)
            t = torch.rand(1, BATCH_SIZE, 1, device=device)
            noise = torch.randn(2, BATCH_SIZE, theta.shape[1], device=device)
            loss = flow.loss(theta[rows], condition[rows], t, noise[:1], noise[1:])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            averaged.update_parameters(flow)
        if step in checks:
            found = trained.log_prob(theta[held_back], condition[held_back], steps=20).mean()
            if found > best:
                best, kept = found, copy.deepcopy(trained.state_dict())
    if kept is not None:
        trained.load_state_dict(kept)
    found = trained.log_prob(theta[n_train:], condition[n_train:], steps=40)
    return found.cpu().double().numpy(), trained


def _flow_from(start, dim: int, n_features: int):
    """Return a new flow, or a copy of another one that ignores its last features."""
    from torch.nn import functional

    from galcfm.flow import ConditionalFlow
    from galcfm.networks import VelocityNetwork

    flow = ConditionalFlow(VelocityNetwork(dim, n_features, WIDTH))
    if start is not None:
        weights = start.state_dict()
        first = next(name for name in weights if name.endswith("hidden.0.weight"))
        new = flow.state_dict()[first].shape[1] - weights[first].shape[1]
        flow.load_state_dict(weights | {first: functional.pad(weights[first], (0, new))})
    return flow
