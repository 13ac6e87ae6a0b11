"""The command line: `threers VERB key=value …`. The only file that knows Hydra. Layer 6."""

from __future__ import annotations

import difflib
import os
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from typing import Any

from threers.help import keys, overview
from threers.verbs import VERBS, say, work_of

#: What Hydra takes for a number.
NUMBER = re.compile(r"[+-]?[\d._]+(e[+-]?\d+)?", re.IGNORECASE)
#: Keys that take names in braces, each with an example.
MAPPINGS = {"roles": "{T: therapist, P: patient}", "columns": "{text: Sentence, speaker: Who}"}


def main() -> None:
    """Entry point of the `threers` command."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        say(overview())
        return
    verb, rest = arguments[0], arguments[1:]
    if verb in ("--version", "-V"):
        from importlib import metadata

        say(f"threers {metadata.version('threers')}")
        return
    if verb not in VERBS:
        near = difflib.get_close_matches(verb, VERBS, n=1)
        _fail(f"threers: no verb {verb!r}; {f'did you mean {near[0]}? ' if near else ''}verbs: {', '.join(VERBS)}")
    if "-h" in rest or "--help" in rest:
        say(keys(verb))
        return
    _run(verb, rest)


def _run(verb: str, rest: list[str]) -> None:
    _prepare(rest)
    if named := [word.partition("=")[0] for word in rest if "\0" in word]:
        _fail(f"threers {verb}: {named[0]}: holds a NUL character; expected a value without it")
    # Hydra would print its errors and exit with status 1 itself; with this it hands them to us.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    with _one_line_errors(verb):
        _compose_and_call(verb, rest)


def _prepare(rest: list[str], mark: str = "") -> None:
    """What every process needs before its work; `mark` stands before each line that it says."""
    from threers.ranks import speak

    _go_offline(allow_network=any(re.fullmatch(r"\+*backbone\.allow_network=(true|yes|on|1)", w, re.I) for w in rest))
    os.umask(0o077)  # what a run writes is for its owner only
    speak(mark)


def _compose_and_call(verb: str, rest: list[str]) -> None:
    import hydra
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import DictConfig, OmegaConf

    from threers.mapping import from_mapping

    job, schema = work_of(verb)

    def call(config: DictConfig) -> Any:
        # Here as well, because Hydra would write its own line about any error that leaves this function.
        with _one_line_errors(verb):
            values: Any = OmegaConf.to_container(config, resolve=True)
            values |= {key: _unpacked(key, value) for key, value in values.pop("named", {}).items()}
            own = HydraConfig.get()
            if own.mode and own.mode.name == "MULTIRUN":  # a launcher's process starts anew, perhaps on another machine
                _prepare(rest, f"run {own.job.num}: ")
            return job(from_mapping(schema, values, lambda key: _place(key, verb, own.runtime.choices, rest)))

    # Hydra takes a key that is also a folder of configs for a choice among its files, and a mapping for a list of known
    # keys; these four are plain values that it should only pass on.
    words = [
        re.sub(r"^(reader|codebook|roles|columns)=", r"+named.\1=", _as_hydra_reads(word, schema)) for word in rest
    ]
    _require_names(words)
    sys.argv = [f"threers {verb}", *words]
    hydra.main(version_base="1.3", config_path="pkg://threers.configs", config_name=verb)(call)()


def _require_names(words: list[str]) -> None:
    """A choice is a name or a sweep over names. Of a number, a list or a mapping Hydra says nothing that helps."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    from threers.errors import SettingsError
    from threers.shipped import shipped_names

    for word in words:
        key = word.partition("=")[0]
        if not key.isidentifier() or not (resources.files("threers.configs") / key).is_dir():
            continue
        given = OverridesParser.create().parse_overrides([word])[0]
        if not given.is_sweep_override() and (not isinstance(given.value(), str) or "${" in word):
            raise SettingsError(f"{word}: no name of a choice; choose one of: {', '.join(shipped_names(key))}")


def _as_hydra_reads(word: str, schema: Any) -> str:
    """Quote a mapping that Hydra cannot read (names in quotes, or beyond ASCII): `_unpacked` reads it as YAML. Quote a
    path that it would take for a number: 2024_11_28 is no folder called 20241128.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    key, _, value = word.partition("=")
    *groups, name = key.split(".")
    if re.fullmatch(NUMBER, value) and _hints(schema, groups).get(name) in (str, tuple[str, ...]):
        return f"{key}='{value}'"
    if key not in MAPPINGS or not value.startswith("{"):
        return word
    try:
        OverridesParser.create().parse_override(word)
        return word
    except HydraException:
        return f"{key}='" + value.replace("'", "\\'") + "'"


def _unpacked(key: str, value: Any) -> Any:
    from threers.errors import SettingsError
    from threers.shipped import parse_yaml

    if key not in MAPPINGS or not isinstance(value, str) or not value.startswith("{"):
        return value
    try:
        return parse_yaml(value, key)
    except SettingsError as error:
        expected = f"expected names in braces, as in '{key}={MAPPINGS[key]}'"
        raise SettingsError(f"{key}: not readable; {expected}") from error


@contextmanager
def _one_line_errors(verb: str) -> Iterator[None]:
    """End with one line and status 2 for what the user can mend; with status 1 and the place for a fault of ours."""
    from threers.errors import Stopped, ThreersError

    try:
        yield
    except ThreersError as error:
        _fail(f"threers {verb}: {error}")
    except Stopped:
        say("stopped as asked; the same command goes on from here", file=sys.stderr)
        sys.exit(128 + 15)
    except KeyboardInterrupt:
        say("\nstopped; the same command goes on from here", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        known = _hydra_message(verb, error)
        if known is None and isinstance(error, OSError):
            known = (
                f"{error.filename or 'input or output'}: {error.strerror or error}; "
                "check that the path is right, and that you may read and write there"
            )
        if known is None:
            say(_place_of_fault(error), file=sys.stderr)
            sys.exit(1)
        _fail(f"threers {verb}: {known}")


def _place_of_fault(error: Exception) -> str:
    """A traceback without the errors' messages, which may quote a transcript."""
    kinds, cause = [type(error).__name__], error.__cause__ or error.__context__
    while cause is not None:
        kinds.append(type(cause).__name__)
        cause = cause.__cause__ or cause.__context__
    where = "".join(traceback.format_tb(error.__traceback__))
    return f"{where}{' after '.join(kinds)}: a fault in threers; its message is left out, because it may quote a text"


def _place(key: str, verb: str, choices: Any, rest: list[str]) -> str:
    """Where a key was set: `key` when on the command line, else `key in group/choice.yaml`."""
    if any(word.lstrip("+~").startswith((f"{key}=", f"{key.split('.')[0]}={{")) for word in rest):
        return key
    group = key.split(".")[0]
    return f"{key} in {group}/{choices[group]}.yaml" if "." in key and group in choices else f"{key} in {verb}.yaml"


def _hydra_message(verb: str, error: Exception) -> str | None:
    """One line for what Hydra or OmegaConf refused; None for an error that is not theirs."""
    from hydra.errors import HydraException, OverrideParseException
    from omegaconf.errors import InterpolationKeyError, OmegaConfBaseException
    from yaml import YAMLError

    if isinstance(error, YAMLError):
        return f"not valid YAML: {' '.join(str(error).split())}"
    if type(error).__name__ == "UncompletedJobError":  # submitit's; what the run said stands in it
        return next(iter(re.findall(rf"^threers {verb}: (.+)", str(error), re.M)), None)
    if not isinstance(error, HydraException | OmegaConfBaseException):
        return None
    text = " ".join(str(error).split())
    if found := re.search(r"Could not find 'hydra/launcher/(\w+)'", text):
        return f'hydra: the launcher {found[1]} is not installed; pip install "threers[sweep]"'
    if found := re.search(r"Could not override '([^']+)'", text):
        *groups, key = found[1].split(".")
        known = list(_hints(work_of(verb)[1], groups))
        near = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        return f"{found[1]}: unknown key; {hint}keys: {', '.join(known)} (threers {verb} --help)"
    choices = r"Could not find '(\w+)/(.*?)'.*Available options in '\w+': (.+?)( Config search path|$)"
    if found := re.search(choices, text):
        return f"{found[1]}={found[2]}: no such choice; choose one of: {', '.join(found[3].split())}"
    if found := re.search(r"You must specify '(\w+)'.*Available options: (.+?)( Config search path|$)", text):
        return f"{found[1]}: no choice is given; choose one of: {', '.join(found[2].split())}"
    if isinstance(error, OverrideParseException):
        word = str(error.override).removeprefix("+named.")
        key, _, value = word.partition("=")
        example = f": '{key}=\"{value}\"'" if value and not re.search(r"""^[\[{]|["'\\]""", value) else ""
        expected = "expected quotes, twice, around what has spaces, =, brackets, braces or special letters"
        return f"{word}: cannot be read as key=value; {expected}{example}"
    if found := re.match(r"Error merging override (.+?)( full_key| object_type|$)", text):
        return f"{found[1]}: a mapping in braces cannot stand here; write the value itself, or a list in brackets"
    if isinstance(error, InterpolationKeyError):
        return f"{error.full_key}: no key has the name in ${{…}}; write the value itself"
    return re.sub(r" (full_key|object_type|See |Config search path).*$", "", text)


def _hints(schema: Any, groups: list[str]) -> dict[str, Any]:
    """By key the type of what a verb is given, or of a group of its keys; empty where there is no such group."""
    from dataclasses import is_dataclass
    from typing import get_type_hints

    for group in groups:
        schema = get_type_hints(schema).get(group)
        if not is_dataclass(schema):
            return {}
    return get_type_hints(schema)


def _go_offline(allow_network: bool) -> None:
    """Set the switches before any library that reads them is imported."""
    switches = {
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "TRANSFORMERS_VERBOSITY": "error",
        "TOKENIZERS_PARALLELISM": "true",
        # Whatever a library asks for, PyTorch unpickles data only.
        "TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1",
        # Arrow's own pool keeps what it once had, a tenth of the memory of a long run.
        "ARROW_DEFAULT_MEMORY_POOL": "system",
    }
    if not allow_network:
        switches |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    os.environ.update(switches)


def _fail(text: str) -> None:
    say(text, file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
