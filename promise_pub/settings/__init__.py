"""The configuration: one INI file and the environment, cast once into frozen dataclasses.

Does: finds, reads and checks the configuration (`model.load`), and writes one (`inifile.write`).
Never: reads anything when imported; quotes a secret, or text that may be one, in a complaint or a `repr`.
Limits: a value is one line; sections and options are those of `model.py`, which `production.ini` describes.
Fails with: ConfigurationError, which lists every problem, not only the first.
"""
