from setuptools import setup, find_packages
from digits.extensions.data import GROUP as DIGITS_PLUGIN_GROUP

setup(
    name="digits_gan_data_plugin",
    version="0.0.1",
    description=("A data ingestion plugin for GANs"),
    packages=find_packages(),
    include_package_data=True,
    entry_points={
        DIGITS_PLUGIN_GROUP: ['class=digitsDataPluginGan:DataIngestion'],
    },
)
