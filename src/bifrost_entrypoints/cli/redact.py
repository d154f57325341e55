"""`bifrost redact`: one line out for each line in, secrets masked."""

import os
import sys
from gettext import gettext as _

import click

from bifrost_domain.logs.redaction import RedactingStream, Redactor
from bifrost_entrypoints.cli.options import Common, common, explained, piped
from bifrost_entrypoints.cli.output import printing
from bifrost_entrypoints.container import installation_key

HELP = explained(
    _(
        """Mask the secrets of a log on its way through: one line out for each line in.

A line without a secret comes out byte for byte. Placeholders look like [REDACTED:aws-access-key:3f2a]; equal secrets
have equal placeholders on one installation, and nothing can be turned back."""
    ),
    """\
  bifrost redact < app.log > app.clean.log
  kubectl logs deploy/checkout | bifrost redact | tee shared.log
  bifrost redact --stats < app.log > /dev/null""",
)

CHUNK = 1 << 18


@click.command(help=HELP)
@click.option("--stats", is_flag=True, help=_("Say on stderr how many secrets of which kind were masked."))
@common
def redact(common: Common, stats: bool) -> None:
    settings = common.load().settings
    if not piped():
        raise click.UsageError(_("Nothing to read: pipe a log in, as in `bifrost redact < app.log`."))
    stream = RedactingStream(Redactor(installation_key(settings), pii=settings.redaction.pii))
    out = sys.stdout.buffer
    while chunk := os.read(sys.stdin.fileno(), CHUNK):
        with printing():
            out.write(stream.feed(chunk))
    with printing():
        out.write(stream.finish())
    if stats:
        counts = stream.counts
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(counts.items()))
        click.echo(_("masked {total}").format(total=sum(counts.values())) + (f" ({kinds})" if kinds else ""), err=True)
