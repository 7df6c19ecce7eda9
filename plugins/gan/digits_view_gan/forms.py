"""The options of the GAN view."""

from digits_data_gan.forms import PathField, validate_file_path
from flask_wtf import FlaskForm
from wtforms import validators

from digits import utils


class ConfigForm(FlaskForm):
    """What is made of the outputs. Names are those of the original's."""

    gan_view_task_id = utils.forms.SelectField(
        "What is shown",
        choices=[
            ("grid", "Grid"),
            ("animation", "Film"),
            ("mnist_encoder", "Encodings (MNIST)"),
            ("celeba_encoder", "Encodings (CelebA)"),
            ("attributes", "Attributes of encodings"),
        ],
        default="grid",
    )
    attributes_file = PathField(
        "Vectors of attributes",
        id="view-attributes-file",
        validators=[validators.Optional(), validate_file_path],
        tooltip="For attributes of encodings: which of them each picture has. Blank: vectors are made of pictures with labels.",
    )
