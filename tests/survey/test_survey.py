"""Surveys: the disk format, the splits, and every refusal before work begins."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from galcfm.survey import Survey, SurveyError, SurveyWriter, assign_split


def test_a_survey_survives_the_disk(survey, tmp_path):
    survey.save(tmp_path / "toy")
    again = Survey.load(tmp_path / "toy")
    pd.testing.assert_frame_equal(again.catalogue, survey.catalogue)
    np.testing.assert_array_equal(again.images, survey.images)
    assert again.parameters == survey.parameters
    assert isinstance(again.images, np.memmap)
    assert not list(tmp_path.glob(".*"))


def test_a_survey_without_images(survey, tmp_path):
    Survey(survey.catalogue).save(tmp_path / "toy")
    assert Survey.load(tmp_path / "toy").images is None


def test_a_survey_says_what_it_is(survey):
    def source(**parameters):
        return Survey(survey.catalogue, parameters=parameters).select([0]).source

    assert source(kind="simulated") == "simulated survey"
    assert source(kind="sdss") == "SDSS"
    assert source(kind="table", source="/home/me/nsa.fits") == "nsa.fits"
    assert source() == "unknown survey"


def test_splits_cover_the_survey_without_overlap(survey):
    parts = [survey.split(name) for name in ("train", "validation", "test")]
    ids = [set(part.object_id) for part in parts]
    assert sum(map(len, ids)) == len(survey) == len(set.union(*ids))
    row = np.flatnonzero(survey.object_id == parts[2].object_id[0])[0]
    np.testing.assert_array_equal(parts[2].images[0], survey.images[row])
    with pytest.raises(ValueError, match="no split called 'dev'"):
        survey.split("dev")


@given(st.lists(st.text(max_size=8), unique=True, max_size=30))
def test_the_split_of_a_galaxy_is_its_own(names):
    together = assign_split(names, 0.3, 0.3)
    alone = [assign_split([name], 0.3, 0.3)[0] for name in names]
    assert together.tolist() == alone
    # Galaxies only ever move from training to another split when fractions grow.
    smaller = assign_split(names, 0.1, 0.1)
    assert all(
        big == "test" for small, big in zip(smaller, together, strict=True) if small == "test"
    )


def test_split_fractions_are_met():
    counts = pd.Series(assign_split(range(20000), 0.1, 0.15)).value_counts(normalize=True)
    assert counts["validation"] == pytest.approx(0.10, abs=0.01)
    assert counts["test"] == pytest.approx(0.15, abs=0.01)
    with pytest.raises(ValueError, match="sum to less than 1"):
        assign_split(["a"], 0.5, 0.5)


def test_a_missing_or_altered_file_is_refused(survey, tmp_path):
    with pytest.raises(SurveyError, match=r"survey\.json is missing"):
        Survey.load(tmp_path / "nowhere")
    folder = tmp_path / "toy"
    survey.save(folder)
    images = np.load(folder / "images.npy", mmap_mode="r+")
    images[3, 5, 5, 0] ^= 1
    images.flush()
    del images
    with pytest.raises(SurveyError, match=r"images\.npy is not the file"):
        Survey.load(folder)
    survey.save(folder)
    (folder / "images.npy").unlink()
    with pytest.raises(SurveyError, match=r"images\.npy is missing"):
        Survey.load(folder)
    survey.save(folder)
    catalogue = pd.read_parquet(folder / "catalogue.parquet")
    catalogue.to_parquet(folder / "catalogue.parquet", compression="gzip")
    with pytest.raises(SurveyError, match=r"catalogue\.parquet is not the file"):
        Survey.load(folder)


def test_another_schema_is_refused(survey, tmp_path):
    survey.save(tmp_path / "toy")
    path = tmp_path / "toy" / "survey.json"
    path.write_text(
        json.dumps(json.loads(path.read_text(encoding="utf-8")) | {"schema_version": 99}),
        encoding="utf-8",
    )
    with pytest.raises(SurveyError, match="schema_version: invalid enum value 99"):
        Survey.load(tmp_path / "toy")
    path.write_text("{", encoding="utf-8")
    with pytest.raises(
        SurveyError, match=r"survey\.json is damaged, or not of this galcfm: it is not JSON"
    ):
        Survey.load(tmp_path / "toy")


def test_unusable_content_is_refused(survey):
    def expect(message, **columns):
        with pytest.raises(SurveyError, match=message):
            Survey(survey.catalogue.assign(**columns), survey.images)

    properties = survey.catalogue["dn4000"].copy()
    properties[11] = np.inf
    expect(r"row 11 .*dn4000 is inf", dn4000=properties)
    magnitudes = survey.catalogue["mag_u"].copy()
    magnitudes[4] = -9999
    expect(r"row 4 .*mag_u is -9999", mag_u=magnitudes)
    ids = survey.catalogue["object_id"].copy()
    ids[9] = ids[2]
    expect("row 9: object_id .* occurs twice", object_id=ids)
    expect("split has the values", split="dev")
    with pytest.raises(SurveyError, match="lacks the columns ebv"):
        Survey(survey.catalogue.drop(columns="ebv"))
    with pytest.raises(SurveyError, match="lacks the columns a_v"):
        Survey(survey.catalogue.drop(columns="a_v"))
    with pytest.raises(SurveyError, match="but the catalogue has 120 rows"):
        Survey(survey.catalogue, survey.images[:100])


def test_an_unfinished_survey_leaves_the_old_one(survey, tmp_path, monkeypatch):
    survey.save(tmp_path / "toy")
    # What this process left half done does not lock it out, by whatever path.
    unfinished = SurveyWriter(tmp_path / "toy", 10)
    monkeypatch.chdir(tmp_path)
    survey.save("toy")
    assert unfinished.done == set()
    writer = SurveyWriter(tmp_path / "toy", 10)
    with pytest.raises(SurveyError):
        writer.finish(survey.catalogue, {})
    assert len(Survey.load(tmp_path / "toy")) == len(survey)


def test_images_of_an_interrupted_writer_are_kept_for_the_same_survey(tmp_path):
    writer = SurveyWriter(tmp_path / "toy", 4, {"seed": 1})
    writer.put(writer.partial, 2, np.ones((1, 128, 128, 3)))
    writer.note_done(writer.partial, 2)
    with (writer.partial / "done.txt").open("a", encoding="utf-8") as file:
        file.write("1")  # cut short
    again = SurveyWriter(tmp_path / "toy", 4, {"seed": 1})
    assert again.done == {2}
    assert again.images[2].all()
    assert not again.images[3].any()
    for identity in ({"seed": 2}, None):
        assert SurveyWriter(tmp_path / "toy", 4, identity).done == set()
