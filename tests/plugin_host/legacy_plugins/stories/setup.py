import os

from setuptools import setup, find_packages
from digits.extensions.data import GROUP as DIGITS_PLUGIN_GROUP


def read(fname):
    return open(os.path.join(os.path.dirname(__file__), fname)).read()


setup(
    name="digits_stories_data_plugin",
    version="0.0.1",
    description=("A data ingestion plugin for questions about stories"),
    long_description=read('README'),
    packages=find_packages(),
    entry_points={DIGITS_PLUGIN_GROUP: ['class=storiesDataPlugin:DataIngestion']},
    include_package_data=True,
)
