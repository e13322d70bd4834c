"""The configuration: one INI file and the environment, cast once.

Does: finds the file, reads every option, and lists every problem at once.
Never: reads anything at import; lets a secret into `repr`; heeds variables and files of libpq.
Limits: values of one line; an empty value is the default.
Fails with: ConfigurationError, with a line for each problem.
"""
