import os
from setuptools import setup, find_packages
from digits.extensions.data import GROUP as DIGITS_PLUGIN_GROUP


# Utility function to read the README file.
def read(fname):
    return open(os.path.join(os.path.dirname(__file__), fname)).read()


setup(
    name="digits_waves_data_plugin",
    version="0.0.1",
    author="Someone",
    description=("A data ingestion plugin for CSV time series"),
    long_description=read('README'),
    license="BSD",
    packages=find_packages(),
    include_package_data=True,
    entry_points={
        DIGITS_PLUGIN_GROUP: [
            'class=wavesDataPlugin:DataIngestion',
        ]
    },
)
