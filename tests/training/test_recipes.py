"""Recipes: each field has a range, and a setting that has no effect is refused."""

import contextlib
import io
import math
import shlex
from dataclasses import asdict, fields, replace
from typing import get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galcfm import runs
from galcfm.catalogue import command
from galcfm.training import RECIPES, Recipe, TrainingSettings
from galcfm.training.recipes import MODELS

FIELDS = [field.name for field in fields(Recipe)]
HINTS = get_type_hints(Recipe, include_extras=True)
WRONG_KINDS = ["cosine ", "", b"1", "1", None, [], {}, object(), float("nan"), math.inf, -1, -0.5]


def other_value(name: str):
    """Return another value of a field that it may have."""
    value = getattr(Recipe(), name)
    if isinstance(value, bool):
        return not value
    others = {"features": "magnitudes", "schedule": "constant", "encoder_widths": [8, 16]}
    if name in others or name == "image_bin":
        return others.get(name, 4)
    return value / 2 if isinstance(value, float) else value + 8


def state(recipe: Recipe, model: str):
    """Return all that a training of a model takes from its recipe."""
    warm = recipe.warm_start if model == "image" else None
    return recipe.model(model).architecture, recipe.settings(model), warm


def test_each_field_has_its_range_in_its_annotation():
    assert all(HINTS[name].__metadata__[0].description for name in FIELDS)
    of_training = get_type_hints(TrainingSettings, include_extras=True)
    for name in set(FIELDS) & set(of_training):
        assert HINTS[name].__metadata__[0] == of_training[name].__metadata__[0]


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_changes_the_models_that_are_said_to_read_it(name):
    recipe = Recipe()
    changed = replace(recipe, **{name: other_value(name)})
    readers = [model for model in MODELS if state(recipe, model) != state(changed, model)]
    assert readers == list(Recipe.readers(name))


@settings(max_examples=400)
@given(
    name=st.sampled_from(FIELDS),
    value=st.sampled_from(WRONG_KINDS) | st.floats(max_value=-1e-300) | st.integers(max_value=-1),
)
def test_values_out_of_range_are_refused(name, value):
    with pytest.raises(ValueError, match=f"^{name} is .*: give "):
        Recipe(**{name: value})
    if value is not None:  # in a notebook: as the recipe has it
        with pytest.raises(ValueError, match=f"^{name} is .*: give "):
            Recipe.of({"recipe": "quick", name: value})


@pytest.mark.parametrize(
    "name", [n for n in FIELDS if n.endswith(("epochs", "size", "patience", "width", "depth"))]
)
@pytest.mark.parametrize("value", [0, 1.5, True])
def test_counts_are_whole_and_at_least_one(name, value):
    with pytest.raises(ValueError, match=f"^{name} is {value}: give a whole number, at least 1"):
        Recipe(**{name: value})


@settings(max_examples=200)
@given(name=st.sampled_from(FIELDS), models=st.sets(st.sampled_from(MODELS), min_size=1))
def test_the_command_refuses_what_has_no_effect(name, models):
    value = other_value(name)
    words = ["train", "no survey", "--out", "o", "--set", f"{name}={value}"]
    for model in models:
        words += ["--models", model]
    has_effect = any(
        state(Recipe(), model) != state(replace(Recipe(), **{name: value}), model)
        for model in models
    )
    said = refusal(words)
    assert ("has no effect" in said) != has_effect, said
    assert has_effect or said.startswith(f"galcfm: {name} has no effect on the ")


def refusal(words: list[str]) -> str:
    """Return what the command says of words, none of which names a survey."""
    with contextlib.redirect_stderr(io.StringIO()) as said:
        assert command.main(words) in (1, 2)
    return said.getvalue()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--models", "photometry", "--set", "max_epochs=50"],
            "max_epochs has no effect on the photometry model: train the image model, or give "
            "photometry_max_epochs",
        ),
        (["--set", "max_epochs=0"], "max_epochs is 0: give a whole number, at least 1"),
        (["--set", "prior_max_epochs=5"], "no effect on the photometry and image model"),
        (["--set", "width=8", "--set", "width=9"], "width is given more than once"),
        (["--set", "sigma=1e999"], "sigma is inf: give a positive number"),
    ],
)
def test_settings_of_the_command_without_effect_or_out_of_range(words, message):
    assert message in refusal(["train", "no survey", "--out", "o", *words])


def test_the_examples_of_the_help_have_an_effect():
    """Each example of `galcfm train --help` that sets something changes a model."""
    text = command.commands.commands["train"].help
    examples = [shlex.split(line) for line in text.splitlines() if "--set" in line]
    assert len(examples) == 2
    for _, *words in examples:
        said = refusal(["nowhere" if word == "survey" else word for word in words])
        assert "nowhere" in said
        assert "no effect" not in said


def test_parameters_of_the_training_notebook_are_the_fields_of_a_recipe():
    assert set(runs.parameter_defaults("02_training")) >= set(FIELDS)
    for name in RECIPES:
        assert Recipe.of({"recipe": name}) == Recipe(**asdict(RECIPES[name]))


@pytest.mark.parametrize("notebook", runs.NOTEBOOKS)
def test_no_parameter_of_a_notebook_is_negative_infinite_or_nan(notebook):
    kinds = runs.parameter_defaults(notebook)
    for name, value in kinds.items():
        wrong = {int: -1, float: float("nan"), list: [-1]}.get(type(value))
        if wrong is not None:
            with pytest.raises(runs.RunError, match=f"{name} is .*{notebook} takes"):
                runs.check_parameters(notebook, "quick", {name: wrong})
