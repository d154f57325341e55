"""`bifrost keys`: the API keys of the service."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from gettext import gettext as _
from typing import Any, TypeVar

import click

from bifrost_domain import keys as domain
from bifrost_domain.application import Application
from bifrost_domain.audit import AuditEvent
from bifrost_domain.keyring import Issued
from bifrost_domain.keys import ApiKey, Limit, Scope
from bifrost_domain.logs.cleaning import safe
from bifrost_entrypoints.cli.history import age
from bifrost_entrypoints.cli.options import Common, actor, common, explained, printable
from bifrost_entrypoints.cli.output import coloured, json_text, table, write
from bifrost_entrypoints.cli.running import with_bifrost
from bifrost_entrypoints.plain import plain

HELP = explained(
    _(
        """The API keys of the service.

A key is shown once, when it is made; only a hash of its secret is stored. A revoked key is refused within five seconds
on every replica."""
    ),
    """\
  bifrost keys create ci
  bifrost keys create grafana --scope metrics:read --expires 365d
  bifrost keys list
  bifrost keys rotate ID --overlap 24h
  bifrost keys revoke ID --reason leaked""",
)

Result = TypeVar("Result")

FORMAT = click.option(
    "--format", "kind", type=click.Choice(["text", "json"]), default="text", help=_("Form of the result.")
)


@click.group(help=HELP)
def keys() -> None:
    pass


def _lifetime(text: str) -> timedelta | None:
    return None if text == "never" else age(text)


@keys.command(help=_("Make a key. It is shown once, on stdout."))
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([*map(str, Scope), domain.ALL]),
    help=_("What it may do; repeat it for more (default: analyze:write and results:read)."),
)
@click.option("--admin", is_flag=True, help=_("It may do everything, as with --scope all."))
@click.option("--expires", default="90d", metavar="AGE|never", help=_("How long it lives (default: 90d, most: 365d)."))
@click.option("--env", "environment", type=click.Choice(["live", "test"]), default="live", help=_("Part of its text."))
@click.option("--per-minute", type=int, default=60, metavar="N", help=_("Requests a minute (default: 60)."))
@click.option("--at-once", type=int, default=4, metavar="N", help=_("Requests at once (default: 4)."))
@click.option("--tokens-per-day", type=int, metavar="N", help=_("Tokens of models in a UTC day (default: no limit)."))
@click.option("--usd-per-day", type=float, metavar="USD", help=_("Cost of models in a UTC day (default: no limit)."))
@FORMAT
@common
def create(
    common: Common,
    kind: str,
    name: str,
    scopes: tuple[str, ...],
    admin: bool,
    expires: str,
    environment: Any,
    **most: Any,
) -> None:
    issued = with_bifrost(
        common,
        lambda bifrost: bifrost.keyring.issue(
            printable(name),
            scopes=domain.scopes_of((domain.ALL,) if admin else scopes),
            lifetime=_lifetime(expires),
            environment=environment,
            limit=Limit(**most),
            actor=actor(),
        ),
    )
    _print_issued(common, issued, kind)


@keys.command(name="list", help=_("The keys, newest first; those that are over too with --all."))
@click.option("--all", "every", is_flag=True, help=_("Those that are expired or revoked as well."))
@FORMAT
@common
def list_(common: Common, kind: str, every: bool) -> None:
    async def find(bifrost: Application) -> tuple[Sequence[ApiKey], Sequence[ApiKey]]:
        found = await bifrost.keyring.all()
        return found, bifrost.keyring.without_pepper(found)

    found, unchecked = with_bifrost(common, find)
    if unchecked:
        common.talk().notice(
            _("not usable, since the pepper they were hashed with is not in keys.peppers: {ids}").format(
                ids=", ".join(key.id for key in unchecked)
            )
        )
    now = datetime.now(UTC)
    shown = [key for key in found if every or domain.status(key, now) in (domain.Status.ACTIVE, domain.Status.NOT_YET)]
    if kind == "json":
        write(json_text({"items": [_plain(key, now) for key in shown], "next_cursor": None}))
        return
    titles = [_("id"), _("name"), _("state"), _("scopes"), _("expires"), _("last used")]
    rows = [
        [
            key.id,
            key.name,
            str(domain.status(key, now)),
            " ".join(key.scopes),
            _moment(key.expires_at) or _("never"),
            _moment(key.last_used_at) or _("never"),
        ]
        for key in shown
    ]
    write(table(titles, rows, colour=coloured(common.colour, sys.stdout)), colour=True)


@keys.command(help=_("One key with what was done to it."))
@click.argument("id")
@FORMAT
@common
def show(common: Common, kind: str, id: str) -> None:
    async def find(bifrost: Application) -> tuple[ApiKey, Sequence[AuditEvent]]:
        key = await bifrost.keyring.show(printable(id))
        return key, (await (await bifrost.open_storage()).audit.events(subject=key.id)).items

    key, events = with_bifrost(common, find)
    _print(common, _plain(key, datetime.now(UTC)) | {"events": plain(events)}, kind)


@keys.command(help=_("Make a successor with the same rights; the old key ends after the overlap. Shown once."))
@click.argument("id")
@click.option("--overlap", default="24h", metavar="AGE", help=_("How long both work: 0 to 7d (default: 24h)."))
@FORMAT
@common
def rotate(common: Common, kind: str, id: str, overlap: str) -> None:
    issued = with_bifrost(
        common,
        lambda bifrost: bifrost.keyring.rotate(
            printable(id), overlap=timedelta(0) if overlap == "0" else age(overlap), actor=actor()
        ),
    )
    _print_issued(common, issued, kind)


@keys.command(help=_("Refuse a key from now on, for good."))
@click.argument("id")
@click.option("--reason", metavar="TEXT", help=_("Kept with it."))
@FORMAT
@common
def revoke(common: Common, kind: str, id: str, reason: str | None) -> None:
    key = with_bifrost(
        common,
        lambda bifrost: bifrost.keyring.revoke(
            printable(id), reason=None if reason is None else printable(reason)[:500], actor=actor()
        ),
    )
    if kind == "json":
        write(json_text(_plain(key, datetime.now(UTC))))
    else:
        common.talk().notice(_("key {id} is revoked; every replica refuses it within five seconds").format(id=key.id))


@keys.command(help=_("What was done to keys, prompts and the database, newest first."))
@click.option("--limit", type=click.IntRange(1, 1000), default=50, help=_("The most rows (default: 50)."))
@click.option("--cursor", metavar="CURSOR", help=_("Go on after the page that gave this cursor."))
@FORMAT
@common
def audit(common: Common, kind: str, limit: int, cursor: str | None) -> None:
    async def find(bifrost: Application) -> Any:
        return await (await bifrost.open_storage()).audit.events(limit=limit, cursor=cursor)

    page = with_bifrost(common, find)
    if kind == "json":
        write(json_text({"items": plain(page.items), "next_cursor": page.next_cursor}))
        return
    titles = [_("time"), _("by"), _("what"), _("to what"), _("details")]
    rows = [[_moment(event.at), event.actor, event.action, event.subject, _details(event)] for event in page.items]
    write(table(titles, rows, colour=coloured(common.colour, sys.stdout)), colour=True)
    if page.next_cursor:
        common.talk().notice(_("more: --cursor {cursor}").format(cursor=page.next_cursor))


def _print_issued(common: Common, issued: Issued, kind: str) -> None:
    data = {"key": issued.text} | _plain(issued.key, datetime.now(UTC))
    if kind == "json":
        write(json_text(data))
        return
    write(f"{issued.text}\n")
    ends = _moment(issued.key.expires_at) or _("never")
    common.talk().notice(
        _("key {id} ({name}): keep it now, it is shown once").format(id=issued.key.id, name=issued.key.name)
    )
    common.talk().notice(_("scopes: {scopes}; expires: {ends}").format(scopes=" ".join(issued.key.scopes), ends=ends))


def _print(common: Common, data: dict[str, Any], kind: str) -> None:
    if kind == "json":
        write(json_text(data))
        return
    events = data.pop("events")
    rows = [f"{name}: {_shown(value)}" for name, value in data.items() if value is not None]
    rows += [f"{event['at']}  {event['action']}  {event['actor']}" for event in events]
    write(safe("\n".join(rows) + "\n"))


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {item}" for name, item in value.items() if item is not None)
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _plain(key: ApiKey, now: datetime) -> dict[str, Any]:
    """The stored key without its hash."""
    data: dict[str, Any] = plain(key)
    del data["hash"]
    return data | {"state": str(domain.status(key, now))}


def _moment(moment: datetime | None) -> str:
    return "" if moment is None else moment.strftime("%Y-%m-%d %H:%MZ")


def _details(event: AuditEvent) -> str:
    return ", ".join(f"{name} {value}" for name, value in event.detail.items())
