"""What is written where: results on stdout, everything said beside them on stderr, nothing hostile on either."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from gettext import gettext as _
from gettext import ngettext
from typing import Any

import click
import msgspec

from bifrost_domain.errors import BifrostError
from bifrost_domain.logs.cleaning import safe
from bifrost_domain.report import Analysis
from bifrost_entrypoints.outcomes import ExitCode
from bifrost_entrypoints.plain import EVIDENCE_COLUMNS, evidence_rows, plain, table_csv

FORMATS = ("text", "json", "jsonl", "markdown", "csv")

SEVERITY_COLOURS = {"critical": "magenta", "error": "red", "warning": "yellow", "info": "blue", "ok": "green"}
LEVEL_COLOURS = {"critical": "magenta", "error": "red", "warning": "yellow"}


def coloured(choice: str, stream: Any) -> bool:
    """Whether to colour: as chosen; else by NO_COLOR, FORCE_COLOR and CLICOLOR_FORCE; else where a terminal is."""
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if any(os.environ.get(name, "0") not in ("", "0") for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return True
    return bool(stream.isatty()) and os.environ.get("TERM") != "dumb"


class NotPrinted(click.ClickException):
    """Stdout took no more (a full disk, a closed stream): the result is lost."""

    exit_code = ExitCode.FAILED


@contextmanager
def printing() -> Iterator[None]:
    """Raises NotPrinted where stdout fails; BrokenPipeError stays, as a reader that has seen enough is no failure."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise NotPrinted(_("cannot write to standard output: {reason}").format(reason=reason)) from error


def write(text: str, *, colour: bool = False) -> None:
    """`text` to stdout, and at once, so that what is printed stands whatever comes after. Raises NotPrinted."""
    with printing():
        if text:
            click.echo(text, nl=not text.endswith("\n"), color=colour)


def complain(error: BifrostError) -> None:
    """One line that says what went wrong, and one that says what to do."""
    provider = getattr(error, "provider", "")
    who = f"{provider}: " if provider else ""
    click.echo(_("Error: {message}").format(message=one_line(who + error.message)), err=True)
    if error.hint:
        click.echo(_("Try: {hint}").format(hint=one_line(error.hint)), err=True)


def name_failed(inputs: Iterable[tuple[str, str]]) -> None:
    """One line for each input that could not be read; a reason that names its input is not told the name again."""
    for name, reason in inputs:
        message = reason if name and name in reason else f"{name}: {reason}"
        click.echo(_("Error: {message}").format(message=one_line(message)), err=True)


def one_line(text: str) -> str:
    return " ".join(safe(text).split())


def json_text(value: Any, *, indent: bool = True) -> str:
    encoded = msgspec.json.encode(value)
    return (msgspec.json.format(encoded, indent=2) if indent else encoded).decode() + "\n"


def each_text(value: Any, change: Callable[[str], str]) -> Any:
    """Plain data with every string in it changed, but for the keys of mappings."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: each_text(item, change) for key, item in value.items()}
    return [each_text(item, change) for item in value] if isinstance(value, list) else value


def format_analysis(
    analysis: Analysis, kind: str, *, colour: bool = False, shown: Callable[[str], str] | None = None
) -> str:
    """The analysis as `kind`, one of `FORMATS`; only text has colours, and pseudonyms that `shown` turns back."""
    data = plain(analysis)
    if shown is not None and kind == "text":
        data = each_text(data, shown)
    writers: dict[str, Callable[[dict[str, Any]], str]] = {
        "json": json_text,
        "jsonl": lambda value: json_text(value, indent=False),
        "csv": lambda value: table_csv(EVIDENCE_COLUMNS, evidence_rows(value)),
        "markdown": markdown,
        "text": lambda value: text(value, colour),
    }
    return writers[kind](data)


# --- text ---------------------------------------------------------------------------------------------------------


def text(data: dict[str, Any], colour: bool) -> str:
    """The report for a person, the answer first. The same characters with and without colour."""

    def style(words: str, **how: Any) -> str:
        return click.style(words, **how) if colour else words

    report, engine = data["report"], data["engine"]
    severity = report["severity"]
    rows = [
        style(f"{severity.upper()}", fg=SEVERITY_COLOURS[severity], bold=True)
        + f"  {report['category']}  "
        + style(one_line(report["summary"]), bold=True),
        "",
    ]

    def heading(words: str) -> None:
        rows.append(style(words, bold=True))

    heading(_("Root cause") + "  " + _("(confidence {share:.0%})").format(share=report["confidence"]))
    rows += [f"  {row}" for row in report["root_cause"].splitlines()]
    if report["evidence"]:
        rows.append("")
        heading(_("Evidence"))
        for item in report["evidence"]:
            rows.append(f"  {style(place(item), fg='cyan')}  {item['reason']}".rstrip())
            rows += [f"    {style('|', dim=True)} {shortened(row)}" for row in item["quote"].split("\n")]
    if report["actions"]:
        rows.append("")
        heading(_("Next steps"))
        for number, action in enumerate(report["actions"], 1):
            rows.append(f"  {number}. {one_line(action['title'])}")
            if action["command"]:
                rows.append(f"     {style('$ ' + one_line(action['command']), fg='green')}")
            if action["why"]:
                rows.append(f"     {style(one_line(action['why']), dim=True)}")
    if report["timeline"]:
        rows.append("")
        heading(_("Timeline"))
        for entry in report["timeline"]:
            at = entry["at"] or "-"
            rows.append(f"  {at}  " + _("line {number}").format(number=entry["line"]) + f"  {one_line(entry['event'])}")
    for title, names in ((_("Files"), report["files"]), (_("Tests"), report["tests"])):
        if names:
            rows.append("")
            heading(title)
            rows += [f"  {one_line(name)}" for name in names]
    rows += ["", style(footer(data), dim=True)]
    if engine["degraded"]:
        rows.append(
            style(_("Degraded: {reason}").format(reason=one_line(engine["degraded_reason"] or "")), fg="yellow")
        )
    return "\n".join(rows) + "\n"


def place(item: dict[str, Any]) -> str:
    span = str(item["line_start"])
    if item["line_end"] != item["line_start"]:
        span += f"-{item['line_end']}"
    return f"{one_line(item['file'])}:{span}"


def shortened(row: str, limit: int = 300) -> str:
    return row if len(row) <= limit else f"{row[: limit - 60]} ... {row[-50:]}"


def footer(data: dict[str, Any]) -> str:
    """What was read, shown, masked and checked, by whom, in one line."""
    engine, coverage, masked, grounding = data["engine"], data["coverage"], data["redactions"], data["grounding"]
    usage = data["usage"]
    name = engine["provider"] if engine["provider"] == "heuristic" else f"{engine['provider']} {engine['model']}"
    parts = [
        name + (_(" (cached)") if data["cache"]["hit"] else ""),
        _("read {lines:,} lines, looked at {shown:,}").format(
            lines=coverage["lines_read"], shown=coverage["lines_shown"]
        ),
    ]
    if masked["total"]:
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(masked["by_kind"].items()))
        parts.append(_("masked {total} ({kinds})").format(total=masked["total"], kinds=kinds))
    parts.append(
        _("{verified}/{claims} quotes verified").format(verified=grounding["verified"], claims=grounding["claims"])
    )
    if usage["input_tokens"]:
        tokens = _("{sent:,} tokens in, {received:,} out").format(
            sent=usage["input_tokens"], received=usage["output_tokens"]
        )
        parts.append(tokens + (f", ${usage['cost_usd']:.4f}" if usage["cost_usd"] is not None else ""))
    parts.append(f"{data['duration_ms'] / 1000:.1f} s")
    parts.append(data["id"])
    return " · ".join(parts)


# --- markdown -----------------------------------------------------------------------------------------------------

_MARKS = str.maketrans({mark: f"\\{mark}" for mark in r"\`*_{}[]<>()#+-.!|~&@:"})


def escaped(words: str) -> str:
    """One line of text that Markdown shows as it is: no link, no image, no HTML, no mention."""
    return one_line(words).translate(_MARKS)


def bold(words: str) -> str:
    return f"**{words}**"


def fenced(body: str) -> str:
    """A code block whose fence is longer than any run of backticks in `body`."""
    longest = run = 0
    for character in body:
        run = run + 1 if character == "`" else 0
        longest = max(longest, run)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{body}\n{fence}"


def markdown(data: dict[str, Any]) -> str:
    report, engine = data["report"], data["engine"]
    rows = [
        f"# {report['severity'].upper()}: {escaped(report['summary'])}",
        bold(_("Category"))
        + f" {escaped(report['category'])} · "
        + bold(_("Confidence"))
        + f" {report['confidence']:.0%}",
        "## " + _("Root cause"),
        "\n".join(escaped(row) for row in report["root_cause"].splitlines()),
    ]
    if report["evidence"]:
        rows.append("## " + _("Evidence"))
        for item in report["evidence"]:
            rows += [f"**{escaped(place(item))}** {escaped(item['reason'])}", fenced(item["quote"])]
    if report["actions"]:
        rows.append("## " + _("Next steps"))
        for number, action in enumerate(report["actions"], 1):
            rows.append(f"{number}. **{escaped(action['title'])}** {escaped(action['why'])}".rstrip())
            if action["command"]:
                rows.append(fenced(one_line(action["command"])))
    if report["timeline"]:
        rows.append("## " + _("Timeline"))
        rows.append(
            "\n".join(
                f"- {escaped(entry['at'] or '-')}, "
                + _("line {number}").format(number=entry["line"])
                + f": {escaped(entry['event'])}"
                for entry in report["timeline"]
            )
        )
    for title, names in ((_("Files"), report["files"]), (_("Tests"), report["tests"])):
        if names:
            rows += [f"## {title}", "\n".join(f"- {escaped(name)}" for name in names)]
    rows.append(f"---\n{escaped(footer(data))}")
    if engine["degraded"]:
        rows.append(bold(_("Degraded")) + f" {escaped(engine['degraded_reason'] or '')}")
    return "\n\n".join(rows) + "\n"


# --- tables -------------------------------------------------------------------------------------------------------


def table(titles: list[str], rows: list[list[str]], *, colour: bool = False) -> str:
    """Columns padded to their widest cell, the last one left as it is. Wide characters (Hangul) count as two."""
    grid = [[one_line(item) for item in row] for row in rows]
    widths = [max([width(titles[at]), *(width(row[at]) for row in grid)]) for at in range(len(titles))]

    def joined(row: list[str]) -> str:
        padded = [item + " " * (widths[at] - width(item)) for at, item in enumerate(row[:-1])]
        return "  ".join([*padded, row[-1]]).rstrip()

    head = joined(titles)
    return "\n".join([click.style(head, bold=True) if colour else head, *(joined(row) for row in grid)]) + "\n"


def width(words: str) -> int:
    from unicodedata import east_asian_width

    return sum(2 if east_asian_width(character) in "WF" else 1 for character in words)


# --- progress -----------------------------------------------------------------------------------------------------


class Talk:
    """What is said on stderr. Notices always but with --quiet; progress and live text on a terminal only."""

    def __init__(self, quiet: bool, colour: str) -> None:
        self.quiet = quiet
        self.live = not quiet and sys.stderr.isatty()
        self._colour = coloured(colour, sys.stderr)
        self._progress = False
        self._writing = False

    def notice(self, words: str) -> None:
        if not self.quiet:
            self.end()
            click.echo(click.style(one_line(words), dim=True) if self._colour else one_line(words), err=True)

    def skipped(self, inputs: Iterable[tuple[str, str]]) -> None:
        for name, reason in inputs:
            self.notice(_("skipped {name}: {reason}").format(name=name, reason=reason))

    def progress(self, words: str) -> None:
        """Replaces the line on the terminal; nothing is left of it in the end."""
        if self.live:
            self._progress = True
            click.echo(f"\r\x1b[K{one_line(words)}", nl=False, err=True)

    def reading(self, read: int, total: int | None) -> None:
        """How many bytes of the input were read, and of how many where that is known."""
        words = _("reading {size}").format(size=megabytes(read))
        if total and read <= total:
            words += _(" of {size} ({share:.0%})").format(size=megabytes(total), share=read / total)
        self.progress(words)

    def token(self, piece: str) -> None:
        """A piece of a model's answer as it is written, under a heading that says that nobody has checked it yet."""
        if not self.live:
            return
        if not self._writing:
            self.end()
            self._writing = True
            click.echo(_("The model writes (unverified):"), err=True)
        click.echo(click.style(safe(piece), dim=True) if self._colour else safe(piece), nl=False, err=True)

    def end(self) -> None:
        """Leaves the cursor at the start of an empty line."""
        if self._progress:
            click.echo("\r\x1b[K", nl=False, err=True)
        if self._writing:
            click.echo("", err=True)
        self._progress = self._writing = False


def megabytes(count: int) -> str:
    return f"{count / 1_000_000:,.1f} MB" if count >= 100_000 else f"{count / 1000:,.1f} kB"


def lines(count: int) -> str:
    return ngettext("{count:,} line", "{count:,} lines", count).format(count=count)
