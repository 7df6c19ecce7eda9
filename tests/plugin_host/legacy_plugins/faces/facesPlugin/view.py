from __future__ import absolute_import

import os

from flask.ext.wtf import Form
import numpy as np
import PIL.Image

from digits import utils
from digits.extensions.view.interface import VisualizationInterface
from digits.utils import override, subclass

HEADER_TEMPLATE = "templates/header_template.html"
CONFIG_TEMPLATE = "templates/config_template.html"
VIEW_TEMPLATE = "templates/view_template.html"


@subclass
class ConfigForm(Form):
    gan_view_task_id = utils.forms.SelectField('Task', choices=[('grid', 'Grid'), ('single', 'Single')], default='grid')


@subclass
class Visualization(VisualizationInterface):
    """A visualization extension that puts pictures into a grid"""

    def __init__(self, dataset, **kwargs):
        extension_dir = os.path.dirname(os.path.abspath(__file__))
        self.read = lambda name: open(os.path.join(extension_dir, name), "r").read()
        self.task_id = kwargs['gan_view_task_id']
        self.grid_size = 3
        self.grid = {}

    @staticmethod
    def get_config_form():
        return ConfigForm()

    @staticmethod
    def get_config_template(form):
        extension_dir = os.path.dirname(os.path.abspath(__file__))
        return (open(os.path.join(extension_dir, CONFIG_TEMPLATE), "r").read(), {'form': form})

    @staticmethod
    def get_id():
        return 'image-faces'

    @staticmethod
    def get_title():
        return 'Faces'

    @override
    def get_header_template(self):
        rows = [[self.grid.get((row, col)) for col in range(self.grid_size)] for row in range(self.grid_size)]
        return self.read(HEADER_TEMPLATE), {'task_id': self.task_id, 'rows': rows}

    @override
    def get_view_template(self, data):
        return self.read(VIEW_TEMPLATE), {'image': data['image'], 'key': data['key'], 'task_id': self.task_id}

    @override
    def process_data(self, input_id, input_data, output_data):
        data = output_data[list(output_data.keys())[0]].astype('float32')
        image = utils.image.embed_image_html(PIL.Image.fromarray(np.clip(data, 0, 255).astype('uint8').transpose((1, 2, 0))))
        self.grid[int(input_id) // self.grid_size, int(input_id) % self.grid_size] = image
        return {'image': image, 'key': input_id}
