"""The book of prompts: publish, find, label, roll back, compare, and carry as files."""

import difflib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta, Struct, structs

from bifrost_domain.audit import AuditAction, AuditEvent
from bifrost_domain.errors import BadPrompt, Conflict, PromptNotFound, PromptVersionExists, StorageUnavailable
from bifrost_domain.logs.redaction import Redactor
from bifrost_domain.ports import Clock, NewId, PromptRepository, Storage
from bifrost_domain.prompt import (
    PUBLISHED,
    ROOT_CAUSE,
    LabelMove,
    PromptVersion,
    check,
    check_label,
    check_message,
    check_name,
    is_name,
)

PRODUCTION = "production"
BUILT_IN_AUTHOR = "bifrost"
TRIES = 20
"""How often a race for a number or a label is run again before it is told."""
FILE_FORMAT = 1


class Labelled(Struct, frozen=True, kw_only=True):
    """A prompt with its versions, oldest first, where its labels are, and how they came there."""

    name: str
    versions: tuple[PromptVersion, ...]
    labels: Mapping[str, int]
    moves: tuple[LabelMove, ...]


class PromptFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One version as a file: JSON, its texts as lists of lines, so that a version control system shows changes well.

    An exported file has them all; one written by hand may leave out what has a default here. Without a checksum its
    wording is taken as it stands.
    """

    bifrost_prompt: int
    name: str
    version: int
    checksum: str | None = None
    author: str
    message: str = ""
    created_at: Annotated[datetime, Meta(tz=True)] | None = None
    variables: dict[str, str] = {}
    system: list[str]
    user: list[str]


class PromptBook:
    """Use cases over the prompts of a storage. Every one raises StorageUnavailable.

    The wordings that come with Bifrost are in every book: the first use publishes what is missing, as the next free
    version, and moves `production` to it only where nobody else ever moved that label.
    """

    def __init__(self, *, open_storage: Callable[[], Awaitable[Storage]], clock: Clock, new_id: NewId) -> None:
        self._open_storage = open_storage
        self._clock = clock
        self._new_id = new_id
        self._seeded = False

    async def names(self) -> tuple[str, ...]:
        return tuple(await (await self._prompts()).names())

    async def prompt(self, name: str) -> Labelled:
        """Raises PromptNotFound."""
        prompts = await self._prompts()
        versions = tuple(await prompts.versions(name)) if is_name(name) else ()
        if not versions:
            raise PromptNotFound(
                f"there is no prompt {name[:80]!r}", hint=f"there are {', '.join(await prompts.names())}"
            )
        moves = tuple(await prompts.moves(name))
        return Labelled(name=name, versions=versions, labels=placed(moves), moves=moves)

    async def find(self, reference: str) -> PromptVersion:
        """The version behind `NAME@VERSION` or `NAME@LABEL`; behind `NAME`, that in production, else the newest.

        Raises PromptNotFound, naming what there is.
        """
        name, at, where = reference.partition("@")
        prompt = await self.prompt(name)
        numbers = {version.version: version for version in prompt.versions}
        if not at:
            return numbers[prompt.labels.get(PRODUCTION, max(numbers))]
        number = int(where) if where.isascii() and where.isdecimal() and len(where) < 10 else prompt.labels.get(where)
        if number not in numbers:
            known = [*map(str, sorted(numbers)), *sorted(prompt.labels)]
            raise PromptNotFound(
                f"prompt {name} has no version or label {where[:80]!r}", hint=f"it has {', '.join(known)}"
            )
        return numbers[number]

    async def publish(
        self,
        name: str,
        *,
        system: str,
        user: str,
        variables: Mapping[str, str] = {},
        author: str,
        message: str = "",
    ) -> PromptVersion:
        """A new version with the next free number; the newest one again where it reads the same.

        Raises BadPrompt for what `prompt.check` refuses, and for a text with a secret in it; Conflict.
        """
        check_name(name)
        prompts = await self._prompts()
        for _ in range(TRIES):
            versions = await prompts.versions(name)
            version = PromptVersion(
                name=name,
                version=versions[-1].version + 1 if versions else 1,
                system=system,
                user=user,
                variables=dict(variables),
                author=author,
                message=message,
                created_at=self._clock(),
            )
            check(version)
            check_secrets(version)
            if versions and versions[-1].checksum == version.checksum:
                return versions[-1]
            try:
                await self._keep(prompts, version, author)
            except PromptVersionExists:
                continue
            return version
        raise Conflict(f"prompt {name} is being published by many at once", hint="try again")

    async def label(self, name: str, label: str, version: int, *, by: str, message: str = "") -> LabelMove:
        """Put a label on a version, wherever it was before. Raises PromptNotFound, BadPrompt, Conflict."""
        check_label(label)
        return await self._move(name, lambda moves: (label, version, False), by=by, message=message)

    async def rollback(self, name: str, label: str = PRODUCTION, *, by: str, message: str = "") -> LabelMove:
        """Put a label back where it was before; done again, it goes further back.

        Raises PromptNotFound, BadPrompt for the message, and Conflict where it was nowhere before.
        """

        def back(moves: Sequence[LabelMove]) -> tuple[str, int, bool]:
            trail = way_back(moves, label)
            if len(trail) < 2:
                raise Conflict(
                    f"the label {label[:80]!r} of prompt {name} has nowhere to go back to",
                    hint=f"it is where it began, on {trail[0]}" if trail else _labels_there(moves),
                )
            return label, trail[-2], True

        return await self._move(name, back, by=by, message=message)

    async def export(self, name: str) -> dict[str, bytes]:
        """Every version of a prompt as a file: file name -> content, the same bytes for the same version."""
        return {file_name(version): to_file(version) for version in (await self.prompt(name)).versions}

    async def take(self, files: Iterable[bytes], *, by: str) -> tuple[list[PromptVersion], list[PromptVersion]]:
        """Publish the versions of files under their own numbers: those taken, and those that were there.

        Raises BadPrompt for a file that is none or whose wording cannot be published, before any is taken; Conflict
        where a number is taken by another wording, or lies beyond the next free one. Versions before that stay taken.
        """
        prompts = await self._prompts()
        versions = sorted(map(from_file, files), key=lambda version: (version.name, version.version))
        for version in versions:
            check_secrets(version)
        taken: list[PromptVersion] = []
        known: list[PromptVersion] = []
        for version in versions:
            (taken if await self._take(prompts, version, by) else known).append(version)
        return taken, known

    async def _take(self, prompts: PromptRepository, version: PromptVersion, by: str) -> bool:
        there = {found.version: found for found in await prompts.versions(version.name)}
        same = there.get(version.version)
        if same is not None and same.checksum != version.checksum:
            raise Conflict(
                f"{version.reference} is there already, with another wording",
                hint="give the file a free version number, or create a new version from it",
            )
        if same is not None:
            return False
        if version.version != max(there, default=0) + 1:
            raise Conflict(
                f"{version.reference} leaves a gap: the next version is {max(there, default=0) + 1}",
                hint="import the versions before it as well",
            )
        try:
            await self._keep(prompts, version, by)
        except PromptVersionExists:
            return await self._take(prompts, version, by)
        return True

    async def _move(
        self,
        name: str,
        where: Callable[[Sequence[LabelMove]], tuple[str, int, bool]],
        *,
        by: str,
        message: str,
    ) -> LabelMove:
        check_message(message)
        await self.prompt(name)
        prompts = await self._prompts()
        for _ in range(TRIES):
            moves = await prompts.moves(name)
            label, version, rollback = where(moves)
            move = LabelMove(
                name=name, label=label, version=version, at=self._clock(), by=by, message=message, rollback=rollback
            )
            detail = {"label": label, "version": str(version)} | ({"rollback": "yes"} if rollback else {})
            event = self._event(AuditAction.LABEL_MOVED, by, f"{name}@{version}", detail)
            try:
                await prompts.move_label(move, event, after=len(moves))
            except Conflict:
                continue
            return move
        raise Conflict(f"the labels of prompt {name} are being moved by many at once", hint="try again")

    async def _keep(self, prompts: PromptRepository, version: PromptVersion, by: str) -> None:
        event = self._event(AuditAction.PROMPT_PUBLISHED, by, version.reference, {"checksum": version.checksum})
        await prompts.publish(version, event)

    def _event(self, action: AuditAction, by: str, subject: str, detail: Mapping[str, str]) -> AuditEvent:
        return AuditEvent(id=self._new_id(), at=self._clock(), actor=by, action=action, subject=subject, detail=detail)

    async def _prompts(self) -> PromptRepository:
        prompts = (await self._open_storage()).prompts
        if not self._seeded:
            for wording in PUBLISHED:
                await self._seed(prompts, wording)
            self._seeded = True
        return prompts

    async def _seed(self, prompts: PromptRepository, wording: PromptVersion) -> None:
        for _ in range(TRIES):
            versions = await prompts.versions(wording.name)
            found = next((version for version in versions if version.checksum == wording.checksum), None)
            if found is None:
                number = versions[-1].version + 1 if versions else 1
                found = structs.replace(wording, version=number)
                try:
                    await self._keep(prompts, found, BUILT_IN_AUTHOR)
                except PromptVersionExists:
                    continue
            moves = await prompts.moves(wording.name)
            ours = all(move.by == BUILT_IN_AUTHOR for move in moves if move.label == PRODUCTION)
            place = placed(moves).get(PRODUCTION, 0)
            if not ours or place >= found.version:
                return
            move = LabelMove(
                name=wording.name, label=PRODUCTION, version=found.version, at=self._clock(), by=BUILT_IN_AUTHOR
            )
            detail = {"label": PRODUCTION, "version": str(found.version)}
            event = self._event(AuditAction.LABEL_MOVED, BUILT_IN_AUTHOR, found.reference, detail)
            try:
                await prompts.move_label(move, event, after=len(moves))
            except Conflict:
                continue
            return
        raise StorageUnavailable("the prompts are being changed by many at once", hint="try again")


async def in_production(book: PromptBook, reference: str | None) -> PromptVersion:
    """The wording behind `reference`; without one, that in production, or the built-in one where no storage is.

    Raises PromptNotFound; StorageUnavailable where a reference was given.
    """
    if reference is not None:
        return await book.find(reference)
    try:
        return await book.find(ROOT_CAUSE.name)
    except StorageUnavailable:
        return ROOT_CAUSE


def check_secrets(version: PromptVersion) -> None:
    """Raises BadPrompt for a text with a secret in it: a version is never erased, and goes to models and into files."""
    redactor = Redactor(b"", pii=False)
    texts = {"system text": version.system, "user text": version.user, "message": version.message}
    texts |= {f"value of {name}": value for name, value in version.variables.items()}
    for what, text in texts.items():
        for number, row in enumerate(redactor.lines(text.split("\n")), 1):
            if row.kinds:
                raise BadPrompt(
                    f"line {number} of the {what} has what looks like a secret ({row.kinds[0]})",
                    hint="take it out, or put it in other words if it is none",
                )


def _labels_there(moves: Iterable[LabelMove]) -> str:
    return f"the labels are {', '.join(sorted(placed(moves))) or 'none'}"


def placed(moves: Iterable[LabelMove]) -> dict[str, int]:
    """Where each label is after these moves, oldest first."""
    return {move.label: move.version for move in moves}


def way_back(moves: Iterable[LabelMove], label: str) -> list[int]:
    """The versions that rolling a label back leads through, the present one last. A rollback takes the last one off."""
    trail: list[int] = []
    for move in moves:
        if move.label != label:
            continue
        if move.rollback and trail:
            trail.pop()
        elif not trail or trail[-1] != move.version:
            trail.append(move.version)
    return trail


def diff(before: PromptVersion, after: PromptVersion) -> str:
    """A unified diff of both texts and the variables; empty where they read the same."""
    parts: list[str] = []
    for part, old, new in (
        ("system", before.system, after.system),
        ("user", before.user, after.user),
        ("variables", _listed(before.variables), _listed(after.variables)),
    ):
        names = f"{before.reference} {part}", f"{after.reference} {part}"
        rows = difflib.unified_diff(old.split("\n"), new.split("\n"), *names, lineterm="")
        parts += [row + "\n" for row in rows]
    return "".join(parts)


def _listed(variables: Mapping[str, str]) -> str:
    return "\n".join(f"{name} = {variables[name]}" for name in sorted(variables))


def file_name(version: PromptVersion) -> str:
    return f"{version.name}@{version.version}.json"


def to_file(version: PromptVersion) -> bytes:
    """A version as the JSON of PromptFile, indented, with an end of line."""
    file = PromptFile(
        bifrost_prompt=FILE_FORMAT,
        name=version.name,
        version=version.version,
        checksum=version.checksum,
        author=version.author,
        message=version.message,
        created_at=version.created_at,
        variables={name: version.variables[name] for name in sorted(version.variables)},
        system=version.system.split("\n"),
        user=version.user.split("\n"),
    )
    return msgspec.json.format(msgspec.json.encode(file), indent=2) + b"\n"


def from_file(content: bytes) -> PromptVersion:
    """Raises BadPrompt for what is no exported version, or one whose wording is not that of its checksum."""
    try:
        file = msgspec.json.decode(content, type=PromptFile)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadPrompt(f"the file is no exported prompt: {error}") from error
    if file.bifrost_prompt != FILE_FORMAT:
        raise BadPrompt(f"the file has format {file.bifrost_prompt}, this program reads {FILE_FORMAT}")
    version = PromptVersion(
        name=file.name,
        version=file.version,
        system="\n".join(file.system),
        user="\n".join(file.user),
        variables=file.variables,
        author=file.author,
        message=file.message,
        created_at=file.created_at,
    )
    check(version)
    if version.version < 1:
        raise BadPrompt(f"a version is 1 or more, not {version.version}")
    if file.checksum is not None and version.checksum != file.checksum:
        raise BadPrompt(
            f"the wording of {version.reference} is not that of its checksum",
            hint="a version never changes: give edited texts the next number and no checksum, or publish them with "
            "`bifrost prompts create`",
        )
    return version
