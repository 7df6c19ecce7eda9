# Written as plugins for the original were: plain distutils style, the group's name from the package itself.
from setuptools import find_packages, setup

from digits.extensions.data import GROUP as DIGITS_PLUGIN_GROUP

setup(
    name="digits_ships_data_plugin",
    version="0.0.3",
    description="A data ingestion plugin",
    packages=find_packages(),
    include_package_data=True,
    entry_points={DIGITS_PLUGIN_GROUP: ["class=ships:DataIngestion"]},
)
