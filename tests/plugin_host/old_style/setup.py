import os
from setuptools import setup, find_packages

from digits.extensions.data import GROUP as DIGITS_PLUGIN_GROUP
from digits.extensions.view import GROUP as DIGITS_VIEW_GROUP


def read(fname):
    return open(os.path.join(os.path.dirname(__file__), fname)).read()


setup(
    name="old_style_plugin",
    version="0.0.1",
    description=("A plugin of the old days"),
    long_description=read("README.md"),
    packages=find_packages(),
    entry_points={
        DIGITS_PLUGIN_GROUP: ["class=oldStylePlugin:DataIngestion"],
        DIGITS_VIEW_GROUP: ["class=oldStylePlugin:Visualization"],
    },
    include_package_data=True,
)
