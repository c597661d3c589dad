"""Every command explains itself, and every command that a document shows exists, options and all."""

from __future__ import annotations

import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from edged.cli.measure import CURES
from edged.monitor.words import HINTS
from edged.service.health import CONDITIONS
from tests.architecture.sources import REPOSITORY

PROGRAMS = {"edged": "edged.cli.main", "edged-sim": "firmware_sim.main", "edged-export": "export.main"}
DOCUMENTS = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")])
TOLD = [*HINTS.values(), *CURES.values(), *(condition.text for condition in CONDITIONS.values())]
FENCE = re.compile(r"^```(?:sh|console|bash)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def program(name: str) -> click.Command:
    command = importlib.import_module(PROGRAMS[name]).main
    assert isinstance(command, click.Command)
    return command


def leaves(command: click.Command, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The commands that do something: `edged journal list` rather than `edged journal`."""
    if not isinstance(command, click.Group):
        yield words
        return
    context = click.Context(command, info_name=words[-1])
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        assert child is not None, name
        yield from leaves(child, (*words, name))


def resolve(words: list[str]) -> tuple[click.Command, list[str]]:
    """Return the command that a line names, and the arguments that remain."""
    command, rest = program(words[0]), words[1:]
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        child = command.get_command(click.Context(command), rest[0])
        assert child is not None, f"no command {rest[0]!r} in {' '.join(words)!r}"
        command, rest = child, rest[1:]
    return command, rest


def wanting(command: click.Command, rest: list[str]) -> list[str]:
    """The options that a command line lacks and the command cannot do without."""
    options = [param for param in command.params if isinstance(param, click.Option) and param.required]
    given = {word.split("=")[0] for word in rest}
    return [] if "--help" in given else [option.opts[-1] for option in options if not given & set(option.opts)]


def shown(document: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield (place, words) for each command line in the document's shell blocks, prompts and comments removed."""
    text = document.read_text(encoding="utf-8")
    for block in FENCE.finditer(text):
        first = text.count("\n", 0, block.start(1)) + 1
        lines = block.group(1).replace("\\\n", "  ").split("\n")
        for number, line in enumerate(lines, first):
            words = shlex.split(line.removeprefix("$ "), comments=True)
            while words and (words[0] in {"sudo", "-u", "exec"} or "=" in words[0]):
                words = words[2:] if words[0] == "-u" else words[1:]
            if words:
                yield f"{document.relative_to(REPOSITORY)}:{number}", words


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_command_has_help_with_an_example(name: str) -> None:
    without = []
    for words in leaves(program(name), (name,)):
        result = CliRunner().invoke(program(name), [*words[1:], "--help"], prog_name=name)
        example = rf"^\s*(Examples?:\s*)?(\$ )?{re.escape(' '.join(words))}\b"
        if result.exit_code != 0 or not re.search(example, result.output, re.MULTILINE):
            without.append(" ".join(words))

    assert not without, f"no example of itself in the help of: {', '.join(without)}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_a_document_shows_exists_with_its_options(document: Path) -> None:
    wrong = []
    for place, words in shown(document):
        name = Path(words[0]).name
        if name not in PROGRAMS:
            continue
        command, rest = resolve([name, *words[1:]])
        known = {option for param in command.params for option in (*param.opts, *param.secondary_opts)} | {
            "--help",
            "-h",
        }
        wrong += [f"{place}: {word}" for word in rest if word.startswith("--") and word.split("=")[0] not in known]
        wrong += [f"{place}: without {option}" for option in wanting(command, rest)]

    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_command_named_in_the_midst_of_a_sentence_has_the_options_that_it_cannot_do_without(document: Path) -> None:
    wrong = []
    for found in re.findall(r"(edged drift renew [^`\n]*)", FENCE.sub("", document.read_text(encoding="utf-8"))):
        said = found.replace('\\"', "'").split('"')[0] if '\\"' in found else found  # in a JSON string
        command, rest = resolve(shlex.split(said))
        wrong += [f"{found}: without {option}" for option in wanting(command, rest)]

    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("text", [text for text in TOLD if "edged " in text])
def test_a_command_that_the_program_tells_as_a_cure_is_accepted_as_it_stands(text: str) -> None:
    (words,) = re.findall(r"\bedged .*$", text)

    command, rest = resolve(shlex.split(words.format(station="bench")))

    assert command.make_context(command.name, rest).params, words


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_make_target_a_document_shows_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))

    wrong = [
        f"{place}: make {words[1]}"
        for place, words in shown(document)
        if words[0] == "make" and (len(words) < 2 or words[1] not in targets)
    ]

    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_a_document_links_to_or_installs_is_in_the_repository(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    linked = [document.parent / target for target in re.findall(r"\]\((?![a-z]+:|#)([^)#\s]+)", text)]
    made = {words[-1] for _, words in shown(document) if words[0] == "cp"}
    installed = [
        REPOSITORY / word
        for _, words in shown(document)
        for word in words
        if re.match(r"(systemd|docs|tests|edged|export|firmware_sim|drivers)/[\w./-]+$", word) and word not in made
    ]

    missing = [str(path) for path in (*linked, *installed) if not path.exists()]

    assert not missing, "\n".join(missing)
