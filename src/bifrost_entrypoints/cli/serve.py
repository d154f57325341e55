"""`bifrost serve`: the service."""

from gettext import gettext as _

import click

from bifrost_entrypoints.cli.options import Common, common, explained

HELP = explained(
    _(
        """Serve the REST and WebSocket API.

It shares the database and the settings of the command line. Every request needs an API key: make one with `bifrost keys
create`. The OpenAPI document is at /schema/openapi.json."""
    ),
    """\
  bifrost keys create ci
  bifrost serve
  bifrost serve --host 0.0.0.0 --port 8080 --workers 4
  bifrost serve --no-auth""",
)


@click.command(help=HELP)
@click.option("--host", metavar="ADDRESS", help=_("Where to listen (default: 127.0.0.1)."))
@click.option("--port", type=click.IntRange(0, 65535), help=_("The port (default: 8000; 0 takes a free one)."))
@click.option("--workers", type=click.IntRange(1, 256), help=_("Processes that share the work (default: 1)."))
@click.option("--no-auth", is_flag=True, help=_("Serve without API keys, on a loopback address only."))
@common
def serve(common: Common, no_auth: bool, host: str | None, port: int | None, workers: int | None) -> int:
    settings = common.load(server__host=host, server__port=port, server__workers=workers).settings
    from bifrost_entrypoints.api.server import serve as run

    talk = common.talk()
    if no_auth:
        talk.notice(_("no API key is asked for: everybody who reaches this address may use it"))
    return run(settings, keys=not no_auth, told=lambda url: talk.notice(_("listening on {url}").format(url=url)))
