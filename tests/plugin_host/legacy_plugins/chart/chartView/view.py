from __future__ import absolute_import

import os

from flask.ext.wtf import Form
import numpy as np

from digits import utils
from digits.utils import subclass, override
from digits.extensions.view.interface import VisualizationInterface

CONFIG_TEMPLATE = "templates/config_template.html"
HEADER_TEMPLATE = "templates/header_template.html"
VIEW_TEMPLATE = "templates/view_template.html"


@subclass
class ConfigForm(Form):
    colour = utils.forms.SelectField('Colour', choices=[('teal', 'Teal'), ('brown', 'Brown')], default='teal', tooltip='Line')
    height = utils.forms.IntegerField('Height', default=60, tooltip='Pixels')
    legend_file = utils.forms.StringField('Legend', tooltip='A text file')


@subclass
class Visualization(VisualizationInterface):
    """Shows scores as bars"""

    def __init__(self, dataset, **kwargs):
        extension_dir = os.path.dirname(os.path.abspath(__file__))
        self.view_template = open(os.path.join(extension_dir, VIEW_TEMPLATE), "r").read()
        self.header_template = open(os.path.join(extension_dir, HEADER_TEMPLATE), "r").read()
        self.labels = dataset.extension_userdata['class_labels']
        self.height = int(kwargs['height'])
        self.colour = kwargs['colour']
        self.total = {}

    @staticmethod
    def get_config_form():
        return ConfigForm()

    @staticmethod
    def get_config_template(form):
        extension_dir = os.path.dirname(os.path.abspath(__file__))
        return (open(os.path.join(extension_dir, CONFIG_TEMPLATE), "r").read(), {'form': form})

    @override
    def get_header_template(self):
        return self.header_template, {'total': self.total, 'colour': self.colour}

    @override
    def get_ng_templates(self):
        header = '<div ng-app="chart_app" class="chart-app" data-brackets="{[ untouched ]}">'
        footer = '</div><script src="/extension-static/view/%s/js/after.js"></script>' % self.get_id()
        return header, footer

    @staticmethod
    def get_id():
        return "signal-chart"

    @staticmethod
    def get_title():
        return "Chart"

    @staticmethod
    def get_dirname():
        return "chartView"

    @override
    def get_view_template(self, data):
        return self.view_template, {
            'id': data['id'], 'bars': data['bars'], 'best': data['best'], 'height': self.height, 'colour': self.colour,
            'truth': data['truth']}

    @override
    def process_data(self, input_id, input_data, inference_data, ground_truth=None):
        scores = inference_data[list(inference_data.keys())[0]].astype('float32').ravel()
        best = self.labels[np.argmax(scores)]
        self.total[best] = self.total.get(best, 0) + 1
        bars = {str(self.labels[i]): float(s) for i, s in enumerate(scores)}
        return {'id': input_id, 'bars': bars, 'best': best, 'truth': None if ground_truth is None else self.labels[int(ground_truth)]}
