from setuptools import setup, find_packages
from digits.extensions.data import GROUP as DIGITS_PLUGIN_GROUP

setup(
    name="digits_acoustics_data_plugin",
    version="0.0.2",
    packages=find_packages(),
    entry_points={DIGITS_PLUGIN_GROUP: ['class=acousticsDataPlugin:DataIngestion']},
)
