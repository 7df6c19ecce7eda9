from setuptools import setup, find_packages
from digits.extensions.data import GROUP as DIGITS_PLUGIN_GROUP

setup(
    name="digits_tumours_data_plugin",
    version="0.0.1",
    packages=find_packages(),
    include_package_data=True,
    entry_points={DIGITS_PLUGIN_GROUP: ['class=tumoursDataPlugin:DataIngestion']},
)
