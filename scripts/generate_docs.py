#!/usr/bin/env python3
"""Writes the reference pages that come from code: `python scripts/generate_docs.py [--check]`.

With --check nothing is written, and the exit code is 1 where a page is stale.
"""

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import msgspec

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs" / "reference"


def cli_page() -> str:
    from bifrost_entrypoints.cli.main import program

    pages = ["# Command line", "Generated from the program's own help."]

    def visit(command: click.Command, context: click.Context) -> None:
        path = context.command_path
        pages.append(f"## {path}\n\n```text\n{command.get_help(context).rstrip()}\n```")
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                inner = command.get_command(context, name)
                assert inner is not None
                visit(inner, click.Context(inner, info_name=name, parent=context))

    root = program()
    settings: dict[str, Any] = {"terminal_width": 110, "max_content_width": 110}
    visit(root, click.Context(root, info_name="bifrost", **settings))
    return "\n\n".join(pages) + "\n"


def default_of(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    return repr(field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory())


def settings_page() -> str:
    from bifrost_adapters.slots import names, options_of
    from bifrost_entrypoints.settings import Settings, flatten

    rows = ["# Settings", inspect.getdoc(sys.modules[Settings.__module__]) or ""]
    rows.append("| setting | default |\n|---|---|")
    for name, value in flatten(Settings()).items():
        rows[-1] += f"\n| `{name}` | `{msgspec.json.encode(value).decode()}` |"
    values = [Settings(), *(getattr(Settings(), field.name) for field in msgspec.structs.fields(Settings))]
    sections = [type(value) for value in values if isinstance(value, msgspec.Struct)]
    rows += [f"## {section.__name__}\n\n{inspect.getdoc(section)}" for section in sections]
    for kind in names("models"):
        options = options_of("models", kind)
        rows.append(f"## Provider kind `{kind}`\n\n{inspect.getdoc(options)}")
        rows.append("| option | default |\n|---|---|")
        for field in msgspec.structs.fields(options):
            rows[-1] += f"\n| `{field.name}` | `{default_of(field)}` |"
    return "\n\n".join(rows) + "\n"


def report_page() -> str:
    from bifrost_domain.report import Analysis

    schema = msgspec.json.format(msgspec.json.encode(msgspec.json.schema(Analysis)), indent=2).decode()
    return (
        "# The report\n\nOne analysis, as `--format json` prints it, the API serves it and the database keeps it: "
        f"its JSON Schema (2020-12).\n\n```json\n{schema}\n```\n"
    )


def errors_page() -> str:
    from bifrost_domain import errors
    from bifrost_entrypoints.outcomes import ExitCode, outcome

    rows = ["# Exit codes and errors", "| exit code | meaning |\n|---|---|"]
    source = inspect.getsource(ExitCode)
    for code in ExitCode:
        meaning = source.split(f"{code.name} = {code.value}\n", 1)[1].split('"""')[1]
        rows[-1] += f"\n| {code.value} | {meaning} |"
    rows.append("| error | HTTP status | exit code | WebSocket close code |\n|---|---|---|---|")

    def visit(family: type[errors.BifrostError]) -> None:
        row = outcome(family("x"))
        rows[-1] += f"\n| `{family.slug}` | {row.status} | {row.exit.value} | {row.close} |"
        for child in family.__subclasses__():
            visit(child)

    visit(errors.BifrostError)
    return "\n\n".join(rows) + "\n"


def openapi() -> dict[str, Any]:
    from bifrost_entrypoints.api.app import ROUTES
    from bifrost_entrypoints.api.docs import document
    from bifrost_entrypoints.settings import Settings

    return document(ROUTES, Settings().provider_names())


def openapi_page() -> str:
    return msgspec.json.format(msgspec.json.encode(openapi(), order="sorted"), indent=2).decode() + "\n"


def http_page() -> str:
    found = openapi()
    rows = [
        "# HTTP",
        "Generated from the [OpenAPI document](openapi.json).",
        found["info"]["description"].partition("\n")[2].strip(),
        "Frames of streams and close codes: [events](events.md).",
    ]
    for path, item in found["paths"].items():
        for method, operation in item.items():
            rows.append(f"## {method.upper()} {path}\n\n{operation['description']}")
            parameters = operation.get("parameters", [])
            if parameters:
                rows.append("| parameter | in | |\n|---|---|---|")
                for parameter in parameters:
                    schema = parameter["schema"]
                    told = parameter.get("description") or schema.get("description") or _kind(schema)
                    rows[-1] += f"\n| `{parameter['name']}` | {parameter['in']} | {told} |"
            for kind, content in operation.get("requestBody", {}).get("content", {}).items():
                shape = content["schema"].get("$ref", "").rpartition("/")[2] or content["schema"].get("type", "")
                rows.append(f"Body: `{kind}`, {shape}.")
                examples = content.get("examples", {}).values()
                rows += [f"```json\n{msgspec.json.encode(example['value']).decode()}\n```" for example in examples]
            answers = ", ".join(sorted(operation["responses"]))
            rows.append(f"Answers: {answers}.")
    rows.append("# Bodies")
    for name, schema in sorted(found["components"]["schemas"].items()):
        if schema.get("type") == "object":
            fields = ", ".join(f"`{field}`" for field in schema.get("properties", {}))
            rows.append(f"**{name}**: {schema.get('description', '').strip()}\n\n{fields}")
    return "\n\n".join(rows) + "\n"


def _kind(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    if "oneOf" in schema or "anyOf" in schema:
        return " or ".join(
            _kind(each) for each in schema.get("oneOf", schema.get("anyOf", [])) if each != {"type": "null"}
        )
    return schema.get("$ref", "").rpartition("/")[2] or str(schema.get("type", ""))


def demo_capture() -> str:
    """What `bifrost demo` prints, without what differs from run to run."""
    done = subprocess.run(
        [Path(sys.executable).parent / "bifrost", "demo", "--quiet", "--color", "never"],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LANG": "C.UTF-8"},
        check=True,
    )
    text = re.sub(r" · \d+\.\d s · \S+$", "", done.stdout.rstrip(), flags=re.M)
    return f"```text\n$ bifrost demo\n{text}\n```"


def readme() -> str:
    """The README with a present capture between its two marks."""
    before, rest = (ROOT / "README.md").read_text().split("<!-- demo -->\n", 1)
    _, after = rest.split("<!-- /demo -->", 1)
    return f"{before}<!-- demo -->\n{demo_capture()}\n<!-- /demo -->{after}"


PAGES = {
    "cli.md": cli_page,
    "settings.md": settings_page,
    "report.md": report_page,
    "errors.md": errors_page,
    "openapi.json": openapi_page,
    "http.md": http_page,
    "../../README.md": readme,
}


def main() -> int:
    stale = []
    for name, page in PAGES.items():
        path, text = (REFERENCE / name).resolve(), page()
        if not path.exists() or path.read_text() != text:
            stale.append(name)
            if "--check" not in sys.argv:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
    if "--check" in sys.argv and stale:
        print(f"stale: {', '.join(stale)}; run python scripts/generate_docs.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
