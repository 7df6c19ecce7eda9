"""The forms of the GAN plugin. Names are those of the original's form; `class_folders`, `channel_conversion`, `folder_pct_val`,
`z_dim` and `class_count` are new."""

import os

from flask_wtf import FlaskForm
from wtforms import validators

from digits import utils

BLANK_IS_RANDOM = "Numbers between blanks; blank: a random vector."


def validate_file_path(form, field):
    """The path, where one is given, is a file that can be read."""
    if field.data and not (os.path.isfile(field.data) and os.access(field.data, os.R_OK)):
        raise validators.ValidationError(f"{field.data} is not a file that can be read.")


def validate_folder_path(form, field):
    """The path, where one is given, is a folder that can be read."""
    if field.data and not (os.path.isdir(field.data) and os.access(field.data, os.R_OK)):
        raise validators.ValidationError(f"{field.data} is not a folder that can be read.")


class PathField(utils.forms.StringField):
    """A path. Of two fields of one name in a page, as of this form and of a view's options, the one that is filled in counts."""

    def process_formdata(self, valuelist):
        if valuelist:
            self.data = next((value for value in valuelist if value.strip()), "")


def path_field(label, check, tooltip, required=False):
    """A field for a path of the server."""
    first = validators.DataRequired() if required else validators.Optional()
    return PathField(label, validators=[first, check], tooltip=tooltip)


def number_field(label, default, tooltip, least=1, most=10_000):
    """A field for a whole number; blank where the default is None or the number may be missing."""
    return utils.forms.IntegerField(
        label, default=default, validators=[validators.Optional(), validators.NumberRange(least, most)], tooltip=tooltip
    )


def needed_number(label, default, tooltip, least=1, most=10_000):
    """A field for a whole number that must be there; a script that leaves it out means the default."""
    return utils.forms.IntegerField(label, default=default, validators=[validators.NumberRange(least, most)], tooltip=tooltip)


def vector_field(label):
    """A field for a latent vector."""
    return utils.forms.StringField(label, validators=[validators.Optional()], tooltip=BLANK_IS_RANDOM)


class DatasetForm(FlaskForm):
    """Which pictures, and how they are cut."""

    image_folder = path_field("Image folder", validate_folder_path, "Every picture below it, or those that the list names.", True)
    file_list = path_field(
        "File list with attributes",
        validate_file_path,
        "As CelebA's list_attr_celeba: a line of names, then a picture's name and a number for each attribute in a line.",
    )
    class_folders = utils.forms.BooleanField(
        "Sub-folders are classes",
        tooltip="Where there is no list: attributes of a picture are then 1 for its sub-folder, 0 for the others.",
    )
    center_crop_size = number_field("Centre crop size", 108, "The middle of each picture, in pixels; blank: all of it.")
    resize = number_field("Resize", 64, "Width and height in pixels; blank: pictures keep their sizes.")
    channel_conversion = utils.forms.SelectField(
        "Channels", choices=[("none", "As they are"), ("RGB", "RGB"), ("L", "Grey")], default="none"
    )
    folder_pct_val = number_field("% for validation", 0, "A generator needs none.", 0, 100)


class InferenceForm(FlaskForm):
    """What to generate, or to encode. Which fields a task reads say `TASKS`."""

    task_id = utils.forms.SelectField(
        "Task",
        choices=[
            ("class", "Class sweep"),
            ("style", "Style sweep"),
            ("genimg", "Generate one picture"),
            ("attributes", "Add or remove attributes"),
            ("analogy", "Analogy"),
            ("animation", "Film"),
            ("enclist", "Encode pictures"),
        ],
        default="class",
    )
    dataset_type = utils.forms.SelectField(
        "Kind of generator",
        choices=[("mnist", "MNIST: ten classes"), ("celeba", "CelebA: no classes")],
        default="mnist",
        tooltip="A generator that is told the class of what to make gets it behind the latent vector, one number for each class.",
    )
    z_dim = needed_number("Latent numbers", 100, "How many numbers the generator starts from.")
    class_count = number_field("Number of classes", None, "Where it is another than the kind says; 0: none.", 0, 1000)
    row_count = needed_number("Rows", 10, "Of the grid, and steps of a sweep.", most=100)

    class_z_vector = vector_field("Z vector")
    style_z1_vector = vector_field("Z1 vector, at the top")
    style_z2_vector = vector_field("Z2 vector, at the bottom")
    genimg_z_vector = vector_field("Z vector")
    genimg_class_id = number_field("Class", 0, "Its number, from 0 on.", 0, 999)

    attributes_z_vector = vector_field("Z vector")
    attributes_file = path_field(
        "Vectors of attributes", validate_file_path, "As the view GAN writes them for encoded pictures; .npz, .npy and .pkl too."
    )
    attributes_params = utils.forms.TextAreaField(
        "Strengths",
        validators=[validators.Optional()],
        tooltip="A picture for each line: Smiling=1 Male=-0.5, or numbers in the order of the attributes. Blank: each by itself.",
    )
    attributes_z1_vector = vector_field("Z1 vector: this …")
    attributes_z2_vector = vector_field("Z2 vector: … is to this")
    attributes_z3_vector = vector_field("Z3 vector: as this is to the answer")

    animation_z_vectors = utils.forms.TextAreaField(
        "Z vectors", validators=[validators.Optional()], tooltip="One in a line, two at least; blank: four random ones."
    )
    animation_num_transitions = needed_number("Pictures from one to the next", 10, "The more the smoother.", most=1000)

    enc_image_folder = path_field("Folder of pictures", validate_folder_path, "They are cut as the data set's are.")
    enc_file_list = path_field("File list with attributes", validate_file_path, "Blank: every picture below the folder.")
    enc_num_images = needed_number("Number of pictures", 100, "The first so many.")

    GENERATING = ("dataset_type", "z_dim", "class_count")
    TASKS = {
        "class": (*GENERATING, "row_count", "class_z_vector"),
        "style": (*GENERATING, "row_count", "style_z1_vector", "style_z2_vector"),
        "genimg": (*GENERATING, "genimg_z_vector", "genimg_class_id"),
        "attributes": (*GENERATING, "row_count", "attributes_z_vector", "attributes_file", "attributes_params"),
        "analogy": (*GENERATING, "row_count", "attributes_z1_vector", "attributes_z2_vector", "attributes_z3_vector"),
        "animation": (*GENERATING, "animation_z_vectors", "animation_num_transitions"),
        "enclist": ("enc_image_folder", "enc_file_list", "enc_num_images"),
    }

    def parts(self):
        """Each field but the task, the tasks that read it, and how it is written: `path`, `lines`, or nothing special."""
        for field in self:
            tasks = [task for task, names in self.TASKS.items() if field.name in names]
            if tasks:
                kind = "path" if isinstance(field, PathField) else "lines" if field.type == "TextAreaField" else ""
                yield field, tasks, kind
