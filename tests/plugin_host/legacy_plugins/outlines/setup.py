from setuptools import setup, find_packages
from digits.extensions.view import GROUP as DIGITS_PLUGIN_GROUP

setup(
    name="digits_outlines_view_plugin",
    version="0.0.1",
    packages=find_packages(),
    include_package_data=True,
    entry_points={DIGITS_PLUGIN_GROUP: ['class=outlinesView:Visualization']},
)
