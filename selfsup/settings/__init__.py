"""The settings of each command, as a frozen dataclass. Nothing here needs torch.

A field is a flag of the command line and a key of the YAML file. It is declared with its help, its
default and its range.
"""
