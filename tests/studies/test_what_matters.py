"""What matters: its images, its points, and that it goes on."""

from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
from conftest import toy_survey

from galcfm.figures.tables.words import number
from galcfm.runs import RunError
from galcfm.survey import Survey
from studies import methods, what_matters
from studies.what_matters import Plan, pictures, wanted
from studies.what_matters.axes import AXES, OWN, REFERENCE, Point, points_with
from studies.what_matters.variants import Variants

TINY = Plan(
    n_galaxies=120,
    max_epochs=1,
    batch_size=32,
    image_bin=6,
    encoder_width=16,
    width=16,
    depth=2,
    processes=1,
)


@pytest.fixture
def variants(place, survey, monkeypatch):
    """A function that opens the study on small surveys, by their number of galaxies."""
    of = {120: survey, 200: toy_survey(200)}

    def survey_of(row, plan):
        return of[plan.n_galaxies]

    monkeypatch.setattr("studies.picture_worth.survey_of", survey_of)
    return lambda plan=TINY, own=None: Variants(plan, place, own)


def test_pictures_are_altered_as_said(survey):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, survey.images.shape, dtype=np.uint8)
    coloured = Survey(survey.catalogue, images, {}, "coloured")
    grey, red, blurred, other = (
        pictures.altered(coloured, name).images
        for name in ("grey", "only i", "blurred", "another galaxy's")
    )
    assert (grey == grey[..., :1]).all()
    np.testing.assert_allclose(grey[..., 0], images.mean(axis=-1), atol=0.51)
    assert (red == images[..., :1]).all()
    # Light and colours stay, structure goes.
    np.testing.assert_allclose(blurred.mean(axis=(1, 2)), images.mean(axis=(1, 2)), atol=1.0)
    assert blurred.std(axis=(1, 2)).max() < 0.2 * images.std(axis=(1, 2)).min()
    split = coloured.catalogue["split"].to_numpy()
    for name in ("train", "test"):
        mine = {image.tobytes() for image in images[split == name]}
        assert {image.tobytes() for image in other[split == name]} == mine
    assert not any((a == b).all() for a, b in zip(other, images, strict=True))
    with pytest.raises(ValueError, match="no altered images called"):
        pictures.altered(coloured, "blue")


def test_fewer_galaxies_are_the_first_and_others_stay(survey):
    few = pictures.fewer(survey, 10)
    split = few.catalogue["split"]
    train = survey.split("train").object_id
    assert list(few.object_id[split == "train"]) == list(train[:10])
    assert (split == "test").sum() == len(survey.split("test"))
    assert pictures.fewer(survey, 0) is survey


def test_points_are_compared_with_the_reference_and_made_once(
    variants, place, monkeypatch, texts_of
):
    own = {"narrow": {"hidden_width": 8}}
    names = ["reference", "inputs/photometry", "steps/100", "own/narrow"]
    study = variants(own=own)
    points = study.make(names, [1])["points"]
    # Densities in few steps leave the reference its own.
    method = study.reference(1)
    before = method.density_steps, method.steps
    study.train("steps/2", 1)
    assert (method.density_steps, method.steps) == before != (2, 2)
    assert list(points) == names
    table = pd.read_parquet(place.folder / "what_matters.parquet")
    expected = (table["inputs/photometry/1"] - table["reference/1"]).astype(float)
    assert points["inputs/photometry"]["gain"] == pytest.approx(expected.mean())
    # 24 steps of a density are as good as 100.
    assert abs(points["steps/100"]["gain"]) < 0.01
    monkeypatch.setattr(Variants, "fitted", lambda *_: pytest.fail("trained twice"))
    again = variants(own=own).make(names, [1])["points"]
    assert {name: again[name] for name in names} == points
    # Another call knows nothing of the variant, and leaves it.
    assert "own/narrow" in variants().make(names[:2], [1])["points"]
    texts = texts_of(lambda: what_matters.draw(points, source="simulated survey"))
    assert {"inputs", "photometry alone", "narrow", "simulated survey"} <= set(texts)
    assert f"worth of the whole image: {number(-expected.mean())} nat" in texts
    assert not {"100 steps", "grey"} & set(texts)


def test_points_with_more_galaxies_keep_what_is_judged(variants, survey):
    made = variants().survey_of(Point("more", n_train=90, n_galaxies=200))
    split = made.catalogue["split"].to_numpy()
    judged = set(survey.split("validation").object_id) | set(survey.split("test").object_id)
    assert not judged & set(made.object_id[split == "train"])
    assert (split == "train").sum() == 90
    assert set(made.object_id[split == "validation"]) == set(survey.split("validation").object_id)


def test_a_point_is_trained_for_as_long_as_it_says(variants, survey, monkeypatch):
    epochs = []

    class Variant(methods.FlowVariant):
        def fit(self, *_, **__):
            self.training = {}
            epochs.append(self.descent.max_epochs)
            return self

    monkeypatch.setattr(methods, "FlowVariant", Variant)
    half = Point("half", n_train=len(survey.split("train")) // 2)
    study = variants(replace(TINY, max_epochs=2))
    for point in (REFERENCE, half, points_with()["training/longer"]):
        study.fitted(point, 1)
    assert epochs == [2, 4, 40]


def test_axes_change_one_thing():
    labels = set()
    for name, point in points_with().items():
        changed = asdict(point)
        labels.add((name.split("/")[0], changed.pop("label")))
        default = asdict(REFERENCE)
        differing = [key for key, value in changed.items() if value != default[key]]
        assert name == "reference" or differing, name
    assert len(labels) == len(points_with())
    assert {axis for axis, _ in labels} | {OWN} == {"reference", *AXES}


def test_points_are_chosen_by_axis_or_by_name(capsys):
    whole = Plan()
    assert wanted(whole) == list(points_with())
    assert wanted(whole, ["sigma"], ["pixels/16"]) == [
        "reference",
        "pixels/16",
        "sigma/0.0",
        "sigma/0.01",
        "sigma/0.1",
    ]
    own = {"mine": {"depth": 1}}
    assert wanted(whole, variants=own) == ["reference", "own/mine"]
    # Of 2,000 galaxies 1,180 are trained on.
    assert wanted(replace(whole, n_galaxies=2000), ["galaxies"], ["sigma/0.0"]) == [
        "reference",
        "galaxies/30000",
        "galaxies/60000",
        "sigma/0.0",
    ]
    assert "not made: galaxies/1500, as there are 1,180 galaxies" in capsys.readouterr().out
    with pytest.raises(RunError, match="there is no colour among the axes: choose from inputs"):
        wanted(whole, ["colour"])
    with pytest.raises(RunError, match="there is no pixels/17 among the points"):
        wanted(whole, ["pixels"], ["pixels/17"])
