"""Do the documents agree with the code?  Run by `make check`; `--write` mends what is generated.

- docs/cli.md is what the commands' own help says;
- docs/forms.md and docs/schemas/ are what the models of the file forms say;
- label_configs/sahel.xml is what the schema renders to;
- every `curate …` line in a document names a command and options that exist;
- every relative link leads to a file; no document holds an address of a package registry;
- the folders that CONTRIBUTING.md draws exist, and it draws all in curate/, tests/ and docs/;
- pyproject.toml and curate/__init__.py name one version.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import typer
from forms_doc import pages
from typer.core import TyperCommand, TyperGroup

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs" / "cli.md"
_HEADING = """\
# The command line

Made from the commands' own help by `python tools/check_docs.py --write`; `make check` compares.
Exit codes: 0 done · 1 findings · 2 usage · 3 data or configuration · 4 Label Studio or network ·
70 a bug · 130 interrupted.
"""


def root_command() -> TyperGroup:
    from curate.cli.app import app

    command = typer.main.get_command(app)
    assert isinstance(command, TyperGroup)
    return command


def commands(
    group: TyperGroup, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], TyperCommand]]:
    for name, command in group.commands.items():
        here = (*path, name)
        yield here, command
        if isinstance(command, TyperGroup):
            yield from commands(command, here)


def reference() -> str:
    parts = [_HEADING]
    for path, command in commands(root_command()):
        if isinstance(command, TyperGroup):
            continue
        context = command.context_class(
            command,
            info_name=" ".join(("curate", *path)),
            terminal_width=96,
            max_content_width=96,
            help_option_names=["-h", "--help"],
        )
        with context.scope():
            help_text = command.get_help(context)
        parts.append(f"## curate {' '.join(path)}\n\n```text\n{help_text.rstrip()}\n```\n")
    return "\n".join(parts)


def documents() -> list[Path]:
    found = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]
    return sorted(found)


def wrong_commands(path: Path) -> Iterator[str]:
    known = dict(commands(root_command()))
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        found = re.match(r"\s*(?:\$ )?curate ((?:-w \S+ )?)([a-z-]+.*)", line)
        if not found or path == REFERENCE:
            continue
        words = re.split(r"\s+#|\s\|\s|\s>\s", found.group(2))[0].split()
        name: tuple[str, ...] = ()
        for word in words:
            if (*name, word) not in known:
                break
            name = (*name, word)
        command = known.get(name)
        if command is None or isinstance(command, TyperGroup):
            yield f"{path.name}:{number}: there is no command `curate {' '.join(words[:2])}`"
            continue
        options = {o for p in command.params for o in (*p.opts, *p.secondary_opts)}
        for word in words[len(name) :]:
            option = word.strip("[]").split("=")[0]
            if option.startswith("--") and option not in options and option != "--help":
                yield f"{path.name}:{number}: `curate {' '.join(name)}` has no {option}"


def broken_links(path: Path) -> Iterator[str]:
    text = path.read_text("utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        foreign = "://" in target or target.startswith("mailto:")
        if not foreign and not (path.parent / target).exists():
            yield f"{path.relative_to(ROOT)}: the link to {target} leads nowhere"


def missing_rooms() -> Iterator[str]:
    drawing = (ROOT / "CONTRIBUTING.md").read_text("utf-8").split("```")[1]
    for folder in sorted((ROOT / "curate").iterdir()):
        if (folder / "__init__.py").is_file() and f"{folder.name}/" not in drawing:
            yield f"CONTRIBUTING.md does not draw curate/{folder.name}/"
        is_module = folder.suffix == ".py" and not folder.name.startswith("_")
        if is_module and folder.name not in drawing:
            yield f"CONTRIBUTING.md does not draw curate/{folder.name}"
    for name in re.findall(r"^  ([a-z_]+\.py)", drawing, re.MULTILINE):
        if not (ROOT / "curate" / name).is_file():
            yield f"CONTRIBUTING.md draws curate/{name}, which does not exist"
    for parent, drawn in (("tests", "tests/{}"), ("docs", "  {}")):
        for folder in sorted((ROOT / parent).iterdir()):
            if not folder.is_dir() or folder.name.startswith(("_", ".")):
                continue
            if not re.search(rf"^{drawn.format(folder.name)}\b", drawing, re.MULTILINE):
                yield f"CONTRIBUTING.md does not draw {parent}/{folder.name}/"
    top = ""
    for indent, name in re.findall(r"^( *)([a-z_]+(?:/[a-z_]+)*/?)(?=[ /])", drawing, re.MULTILINE):
        path = Path(top) / name if indent else Path(name)
        top = top if indent else name
        if not (ROOT / path).exists():
            yield f"CONTRIBUTING.md draws {path}, which does not exist"


def versions() -> Iterator[str]:
    import tomllib

    from curate import __version__

    said = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    if said != __version__:
        yield f"pyproject.toml says version {said}, curate/__init__.py {__version__}"


def main() -> int:
    from curate.labelstudio.config import render_config
    from curate.resources import default_schema
    from curate.schema import read_schema

    generated = {
        REFERENCE: reference(),
        ROOT / "label_configs" / "sahel.xml": render_config(read_schema(default_schema())),
        **pages(ROOT / "docs"),
    }
    findings = []
    for path, text in generated.items():
        if path.is_file() and path.read_text("utf-8") == text:
            continue
        if "--write" in sys.argv[1:]:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, "utf-8")
        else:
            findings.append(f"{path.relative_to(ROOT)} is out of date: tools/check_docs.py --write")
    for path in documents():
        findings += [*wrong_commands(path), *broken_links(path)]
    findings += [*missing_rooms(), *versions()]
    for path, command in commands(root_command()):
        if not isinstance(command, TyperGroup) and "Example:" not in (command.epilog or ""):
            findings.append(f"curate {' '.join(path)}: the help has no example")
        if not command.help:
            findings.append(f"curate {' '.join(path)}: there is no help")
    for finding in findings:
        print(finding)
    print(f"documents: {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
