from __future__ import absolute_import

import json
import os

from flask.ext.wtf import Form
import numpy as np

from digits import utils
from digits.extensions.view.interface import VisualizationInterface
from digits.utils import override, subclass

APP_BEGIN_TEMPLATE = "templates/app_begin_template.html"
APP_END_TEMPLATE = "templates/app_end_template.html"
CONFIG_TEMPLATE = "templates/config_template.html"
HEADER_TEMPLATE = "templates/header_template.html"
VIEW_TEMPLATE = "templates/view_template.html"


@subclass
class ConfigForm(Form):
    colormap = utils.forms.SelectField(
        'Colormap', choices=[('dataset', 'From dataset'), ('paired', 'Paired')], default='dataset', tooltip='Of the classes')


def read(name):
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), name), "r") as template:
        return template.read()


@subclass
class Visualization(VisualizationInterface):
    """A visualization extension with an Angular application around its results"""

    def __init__(self, dataset, **kwargs):
        self.class_labels = dataset.extension_userdata.get('class_labels') or ['background', 'object']
        self.found = set()

    @staticmethod
    def get_config_form():
        return ConfigForm()

    @staticmethod
    def get_config_template(form):
        return (read(CONFIG_TEMPLATE), {'form': form})

    @override
    def get_header_template(self):
        labels = [{'name': self.class_labels[i], 'id': i} for i in sorted(self.found)]
        return (read(HEADER_TEMPLATE), {'labels': json.dumps(labels)})

    @override
    def get_ng_templates(self):
        return (read(APP_BEGIN_TEMPLATE), read(APP_END_TEMPLATE))

    @staticmethod
    def get_id():
        return 'image-outlines'

    @staticmethod
    def get_title():
        return 'Outlines'

    @override
    def get_view_template(self, data):
        return (read(VIEW_TEMPLATE), data)

    @override
    def process_data(self, input_id, input_data, output_data):
        scores = output_data[list(output_data.keys())[0]]
        classes = np.argmax(scores, axis=0).astype('uint8')
        self.found.update(int(i) for i in np.unique(classes))
        return {
            'input_id': input_id,
            'input_image': utils.image.embed_image_html(input_data),
            'fill_image': utils.image.embed_image_html(classes * np.uint8(255 // max(1, len(self.class_labels) - 1))),
        }
