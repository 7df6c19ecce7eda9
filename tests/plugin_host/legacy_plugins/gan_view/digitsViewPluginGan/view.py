from __future__ import absolute_import

import base64
import io
import os

import numpy as np
import PIL.Image

import digits
from digits.extensions.view.interface import VisualizationInterface
from digits.utils import override, subclass

from .forms import ConfigForm

CONFIG_TEMPLATE = "templates/config_template.html"
HEADER_TEMPLATE = "templates/header_template.html"
VIEW_TEMPLATE = "templates/view_template.html"


def template(name):
    extension_dir = os.path.dirname(os.path.abspath(__file__))
    return open(os.path.join(extension_dir, name), "r").read()


@subclass
class Visualization(VisualizationInterface):
    """A visualization extension to display the output of a GAN"""

    def __init__(self, dataset, **kwargs):
        self.view_template = template(VIEW_TEMPLATE)
        self.normalize = True
        self.grid_size = 10
        self.task_id = kwargs['gan_view_task_id']
        self.frames = []

    @staticmethod
    def get_config_form():
        return ConfigForm()

    @staticmethod
    def get_config_template(form):
        return (template(CONFIG_TEMPLATE), {'form': form})

    @override
    def get_header_template(self):
        animated_image = ''
        if self.frames:
            buf = io.BytesIO()
            first = PIL.Image.fromarray(self.frames[0])
            first.save(buf, format='gif', save_all=True, append_images=[PIL.Image.fromarray(f) for f in self.frames[1:]])
            animated_image = 'data:image/gif;base64,%s' % base64.b64encode(buf.getvalue()).decode('ascii')
        return template(HEADER_TEMPLATE), {
            'task_id': self.task_id,
            'cols': range(self.grid_size),
            'rows': range(self.grid_size),
            'animated_image': animated_image,
        }

    @staticmethod
    def get_id():
        return "image-gan"

    @staticmethod
    def get_title():
        return "GAN"

    def to_bytes(self, image):
        if self.normalize:
            image = image - image.min()
            if image.max() > 0:
                image = image / image.max() * 255
        image = image.clip(0, 255).astype('uint8')
        return image[:, :, 0] if image.shape[2] == 1 else image

    @override
    def get_view_template(self, data):
        context = {'key': data['key'], 'task_id': self.task_id}
        context.update(data)
        return self.view_template, context

    @override
    def process_data(self, input_id, input_data, output_data):
        data = output_data[list(output_data.keys())[0]].astype('float32')
        if self.task_id in ('grid', 'animation'):
            image = self.to_bytes(data.transpose((1, 2, 0)))
            self.frames.append(image)
            return {
                'image': digits.utils.image.embed_image_html(PIL.Image.fromarray(image)),
                'row_id': int(input_id) // self.grid_size,
                'col_id': int(input_id) % self.grid_size,
                'key': input_id,
            }
        elif self.task_id == 'mnist_encoder':
            z = data[:100]
            image = data[100:].reshape(28, 28)[:, :, np.newaxis]
            source = input_data.astype('float32')[:, :, np.newaxis]
            return {
                'z': z,
                'image_input': digits.utils.image.embed_image_html(PIL.Image.fromarray(self.to_bytes(source))),
                'image_output': digits.utils.image.embed_image_html(PIL.Image.fromarray(self.to_bytes(image))),
                'key': input_id,
            }
        raise ValueError("Unknown task: %s" % self.task_id)
