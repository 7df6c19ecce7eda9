from setuptools import setup, find_packages
from digits.extensions.data import GROUP as DIGITS_PLUGIN_GROUP
from digits.extensions.view import GROUP as DIGITS_VIEW_GROUP

setup(
    name="digits_faces_plugin",
    version="0.0.1",
    packages=find_packages(),
    include_package_data=True,
    entry_points={
        DIGITS_PLUGIN_GROUP: ['class=facesPlugin:DataIngestion'],
        DIGITS_VIEW_GROUP: ['class=facesPlugin:Visualization'],
    },
)
