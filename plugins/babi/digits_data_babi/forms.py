"""The forms of the bAbI plugin."""

import os

from flask_wtf import FlaskForm
from wtforms import validators

from digits import utils
from digits_data_babi.stories import MOST_SENTENCES, TASKS


def validate_folder_path(form, field):
    """The path is a folder that can be read."""
    if field.data and not (os.path.isdir(field.data) and os.access(field.data, os.R_OK)):
        raise validators.ValidationError(f"{field.data} is not a folder that can be read.")


class DatasetForm(FlaskForm):
    """Where the stories lie, of which task, and how they are split."""

    story_folder = utils.forms.StringField(
        "Story folder",
        validators=[validators.DataRequired(), validate_folder_path],
        tooltip="The folder of one language with files such as qa1_single-supporting-fact_train.txt, e.g. tasks_1-20_v1-2/en.",
    )
    task_id = utils.forms.SelectField(
        "Task",
        choices=[("all", "All"), *((str(number), f"{number}: {title}") for number, title in TASKS.items())],
        default="1",
        tooltip="All: one network for the questions of every task in the folder.",
    )
    pct_val = utils.forms.IntegerField(
        "% for validation",
        default=10,
        validators=[validators.NumberRange(min=0, max=100)],
        tooltip="Of the training stories, whole stories. Where there are files qa…_valid.txt these are taken instead.",
    )
    most_sentences = utils.forms.IntegerField(
        "Sentences of a story at most",
        validators=[validators.Optional(), validators.NumberRange(min=1, max=MOST_SENTENCES)],
        tooltip="Of longer stories the last ones are kept. Blank: as many as the longest training story has.",
    )
    seed = utils.forms.IntegerField(
        "Seed", default=0, validators=[validators.Optional(), validators.NumberRange(min=0)], tooltip="Of the random split."
    )


class InferenceForm(FlaskForm):
    """A story with its questions."""

    snippet = utils.forms.TextAreaField(
        "Story and questions",
        validators=[validators.Optional()],
        tooltip="A sentence a line, with or without numbers. A line that ends in a question mark asks about those before.",
    )
