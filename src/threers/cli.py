"""The command line: `threers VERB key=value …`. The only file that knows Hydra. Layer 6."""

from __future__ import annotations

import difflib
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

VERBS = {
    "import": "read transcripts and codings into a corpus",
    "train": "train a tagger on a corpus",
    "evaluate": "cross-validate on patients the tagger never saw, and compare it with the coders",
    "score": "tag transcripts or a corpus with a tagger",
    "export": "write tags back into the files of coders' tools",
    "agree": "compare coders and models with each other",
    "sample": "choose sessions for people to code, and write their coding sheets",
    "report": "show scores as pages: where a session strained, was it repaired, is the tag right?",
    "purge": "delete a folder that threers made, and what is unfinished beside it",
    "doctor": "show what is installed and what would be used",
    "demo": "go the whole way on the bundled synthetic sessions",
}


def main() -> None:
    """Entry point of the `threers` command."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        _say(_overview())
        return
    verb, rest = arguments[0], arguments[1:]
    if verb in ("--version", "-V"):
        from importlib import metadata

        _say(f"threers {metadata.version('threers')}")
        return
    if verb not in VERBS:
        near = difflib.get_close_matches(verb, VERBS, n=1)
        _fail(f"threers: no verb {verb!r}; {f'did you mean {near[0]}? ' if near else ''}verbs: {', '.join(VERBS)}")
    if "-h" in rest or "--help" in rest:
        _say(_keys(verb))
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

    job, schema = _jobs()[verb]

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
    words = [re.sub(r"^(reader|codebook|roles|columns)=", r"+named.\1=", _as_hydra_reads(word)) for word in rest]
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


def _as_hydra_reads(word: str) -> str:
    """Quote a mapping that Hydra cannot read (names in quotes, or beyond ASCII): `_unpacked` reads it as YAML."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    key, _, value = word.partition("=")
    if key not in ("roles", "columns") or not value.startswith("{"):
        return word
    try:
        OverridesParser.create().parse_override(word)
        return word
    except HydraException:
        return f"{key}='" + value.replace("'", "\\'") + "'"


def _unpacked(key: str, value: Any) -> Any:
    import yaml

    from threers.errors import SettingsError

    if not isinstance(value, str) or not value.startswith("{"):
        return value
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError as error:
        example = {"roles": "{T: therapist, P: patient}", "columns": "{text: Sentence, speaker: Who}"}[key]
        raise SettingsError(f"{key}: not readable; expected names in braces, as in '{key}={example}'") from error


@contextmanager
def _one_line_errors(verb: str) -> Iterator[None]:
    """End with one line and status 2 for what the user can mend; with status 1 and the place for a fault of ours."""
    from threers.errors import Stopped, ThreersError

    try:
        yield
    except ThreersError as error:
        _fail(f"threers {verb}: {error}")
    except Stopped:
        _say("stopped as asked; the same command goes on from here", file=sys.stderr)
        sys.exit(128 + 15)
    except KeyboardInterrupt:
        _say("\nstopped; the same command goes on from here", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        known = _hydra_message(verb, error)
        if known is None and isinstance(error, OSError):
            known = (
                f"{error.filename or 'input or output'}: {error.strerror or error}; "
                "check that the path is right, and that you may read and write there"
            )
        if known is None:
            _say(_place_of_fault(error), file=sys.stderr)
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


def _jobs() -> dict[str, tuple[Callable[[Any], Any], Any]]:
    from threers import jobs

    return {
        "import": (_import, jobs.ImportRun),
        "train": (_train, jobs.TrainRun),
        "evaluate": (_evaluate, jobs.EvaluateRun),
        "score": (_score, jobs.ScoreRun),
        "export": (_export, jobs.ExportRun),
        "agree": (_agree, jobs.AgreeRun),
        "sample": (_sample, jobs.SampleRun),
        "report": (_report, jobs.ReportRun),
        "purge": (_purge, jobs.PurgeRun),
        "doctor": (_doctor, jobs.DoctorRun),
        "demo": (_demo, jobs.DemoRun),
    }


def _import(run: Any) -> None:
    from threers import runs, screen
    from threers.formats import UnknownSpeakersError

    try:
        corpus = runs.import_corpus(run)
    except UnknownSpeakersError as error:
        screen.show_speakers(error.speakers)
        raise
    screen.show_import(corpus, run.corpus)


def _train(run: Any) -> None:
    from threers import runs
    from threers.ranks import is_first

    made = runs.train(run)
    if is_first():
        _say(f"tagger: {made}")


def _evaluate(run: Any) -> float:
    """Returns what a sweep makes as large as it can."""
    from threers import runs, screen
    from threers.comparison import overall
    from threers.corpus import Corpus

    table = runs.evaluate(run)
    screen.show_agreement(table, Corpus.load(run.corpus).codebook)
    _say(f"{_results(run.out)}\nout-of-fold scores: {Path(run.out) / 'scores'}")
    return overall(table, run.backbone.name)


def _results(out: str) -> str:
    return f"report: {Path(out) / 'agreement.html'}\nagreement: {Path(out) / 'agreement.csv'}"


def _score(run: Any) -> None:
    from threers import runs, screen

    screen.show_scores(runs.score(run), run.out)


def _export(run: Any) -> None:
    from threers import runs

    if run.format == "spss":
        files = runs.export_tables(run)
        _say(f"{', '.join(file.name for file in files)} written: {files[0].parent}")
        return
    files, codings = runs.export(run)
    where = files[0] if len(files) == 1 else f"{files[0].parent} ({len(files)} files)"
    _say(f"{codings} codings written: {where}")


def _sample(run: Any) -> None:
    from threers import runs, screen

    screen.show_sample(runs.sample(run), run.out)


def _agree(run: Any) -> None:
    from threers import runs, screen

    screen.show_agreement(*runs.agree(run))
    _say(_results(run.out))


def _report(run: Any) -> None:
    from threers import runs

    sessions = runs.report(run)
    _say(f"{sessions} {'session' if sessions == 1 else 'sessions'}: open {Path(run.out) / 'index.html'} in a browser")


def _purge(run: Any) -> None:
    from threers import runs, screen

    screen.show_purge(runs.purge(run), run.confirm)


def _doctor(run: Any) -> None:
    from threers import doctor, screen

    screen.show_findings(doctor.examine())


def _demo(run: Any) -> None:
    from threers import demonstration

    demonstration.run(run)


def _overview() -> str:
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {verb:{width}}  {what}" for verb, what in VERBS.items())
    return (
        "threers finds alliance ruptures and their repair in psychotherapy transcripts.\n\n"
        f"threers VERB key=value …\n\n{verbs}\n\n"
        "threers VERB --help lists the keys of a verb. Nothing leaves this machine."
    )


def _keys(verb: str) -> str:
    """The verb's YAML file is its help: keys, defaults and a comment each; then the choices of its groups."""
    from threers.shipped import shipped_names

    configs = resources.files("threers.configs")
    text = (configs / f"{verb}.yaml").read_text(encoding="utf-8")
    body, groups = [], []
    for line in text.splitlines():
        if found := re.match(r"  - (?!hydra)(\w+): (\w+)$", line):
            groups.append(found.groups())
        elif not re.match(r"defaults:|  - (_self_|hydra)", line):
            body.append(line)
    for group, chosen in groups:
        names = shipped_names(group)
        body.append(f"\n{group}={chosen}    choices: {', '.join(names)}; keys, as in {group}.KEY=value:")
        chosen_text = (configs / group / f"{chosen}.yaml").read_text(encoding="utf-8")
        body += [f"  {line}" for line in chosen_text.splitlines() if not line.startswith("#")]
    body.append("\nQuote twice what has spaces, = or special letters: 'source=\"my files/s=1.csv\"'")
    return "\n".join(body)


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
        known = _known_keys(_jobs()[verb][1], groups)
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
    if isinstance(error, InterpolationKeyError):
        return f"{error.full_key}: no key has the name in ${{…}}; write the value itself"
    return re.sub(r" (full_key|object_type|See |Config search path).*$", "", text)


def _known_keys(schema: Any, groups: list[str]) -> list[str]:
    from dataclasses import fields, is_dataclass
    from typing import get_type_hints

    for group in groups:
        schema = get_type_hints(schema).get(group)
        if not is_dataclass(schema):
            return []
    return [field.name for field in fields(schema)]


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


def _say(text: str, file: Any = None) -> None:
    (file or sys.stdout).write(text + "\n")


def _fail(text: str) -> None:
    _say(text, file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
