"""Data plugins. A plugin's setup.py imports GROUP from here, so nothing else is imported."""

GROUP = "digits.plugins.data"
