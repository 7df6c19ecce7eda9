from setuptools import find_packages, setup

from digits.extensions.view import GROUP as DIGITS_PLUGIN_GROUP

setup(
    name="digits_meter_view_plugin",
    version="0.0.1",
    packages=find_packages(),
    package_data={"meter": ["templates/*"]},
    entry_points={DIGITS_PLUGIN_GROUP: ["class=meter:Visualization"]},
)
