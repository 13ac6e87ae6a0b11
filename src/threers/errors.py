"""One small family of errors. The command line prints each as one line and ends with status 2."""


class ThreersError(Exception):
    """Something the user can mend: the message says where, what was found, what was expected, what to do."""


class InputError(ThreersError):
    """A file, folder, table, row or value that cannot be used."""


class SettingsError(ThreersError):
    """A key or value in a setting, a YAML file or an override."""


class LeakError(ThreersError):
    """A group (a patient) stands on both sides of a split."""


class OutputExistsError(ThreersError):
    """The output is there already, or belongs to another run."""


class Stopped(Exception):
    """Somebody asked the run to stop; what it has finished is there, and the same command goes on."""


def first_line(error: Exception) -> str:
    """What a library says of an error, short enough to stand in a line of ours; its kind, where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
