"""packager.toml: the options of builds, kept in a file under names.

What the command line says wins over the table of a target, that over the build's own table, that
over `[defaults]`, and that over the command's defaults.
"""

from packager.cli._configuration.command import ConfiguredCommand, list_given
from packager.cli._configuration.jobs import Job
from packager.cli._configuration.starter import init

__all__ = ["ConfiguredCommand", "Job", "init", "list_given"]
