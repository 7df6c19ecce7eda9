from setuptools import setup, find_packages
from digits.extensions.view import GROUP as DIGITS_PLUGIN_GROUP

setup(
    name="digits_gan_view_plugin",
    version="0.0.1",
    description=("A view plugin for GANs"),
    packages=find_packages(),
    include_package_data=True,
    entry_points={
        DIGITS_PLUGIN_GROUP: ['class=digitsViewPluginGan:Visualization'],
    },
)
