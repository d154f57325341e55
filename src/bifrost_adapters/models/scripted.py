"""Replays written answers: for tests, demonstrations, and trying Bifrost without a model."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from bifrost_domain.errors import ConfigurationError
from bifrost_domain.logs import tokens
from bifrost_domain.ports import Completed, Delta, LanguageModel, ModelDescription, ModelEvent, ModelIdentity
from bifrost_domain.prompt import Prompt

__all__ = ["Options", "open"]


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The answers, and how they come.

    answers: the texts to answer with, one a request; the last one is repeated for ever.
    path: a UTF-8 file to take the answers from instead, one a line.
    model: the name to appear under.
    piece_characters: how many characters one piece of the stream has.
    delay_seconds: the pause before each piece.
    context_tokens: the size of context to claim.
    """

    answers: tuple[str, ...] = ()
    path: str | None = None
    model: str = "scripted"
    piece_characters: Annotated[int, Meta(ge=1)] = 16
    delay_seconds: Annotated[float, Meta(ge=0)] = 0.0
    context_tokens: Annotated[int, Meta(ge=1)] = 8192


@asynccontextmanager
async def open(options: Options, *, name: str) -> AsyncIterator[LanguageModel]:
    """The model for the entry `name`. Raises ConfigurationError where there is nothing to answer with."""
    yield _Script(options, name, _answers(options, name))


class _Script:
    def __init__(self, options: Options, name: str, answers: tuple[str, ...]) -> None:
        self._options = options
        self._answers = answers
        self._asked = 0
        self.identity = ModelIdentity(provider=name, model=options.model)

    async def describe(self) -> ModelDescription:
        limit = self._options.context_tokens
        return ModelDescription(context_tokens=limit, max_output_tokens=limit, free=True)

    async def stream(self, prompt: Prompt) -> AsyncGenerator[ModelEvent, None]:
        answer = self._answers[min(self._asked, len(self._answers) - 1)]
        self._asked += 1
        size = self._options.piece_characters
        for start in range(0, len(answer), size):
            await asyncio.sleep(self._options.delay_seconds)
            yield Delta(answer[start : start + size])
        yield Completed(
            input_tokens=tokens.estimate(prompt.system) + tokens.estimate(prompt.user),
            output_tokens=tokens.estimate(answer),
        )


def _answers(options: Options, name: str) -> tuple[str, ...]:
    answers = options.answers
    if options.path is not None:
        try:
            answers = tuple(Path(options.path).read_text(encoding="utf-8").splitlines())
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"the answers of provider {name!r} cannot be read from {options.path}",
                hint="`path` names a UTF-8 text file with one answer a line",
            ) from error
    answers = tuple(answer for answer in answers if answer)
    if not answers:
        raise ConfigurationError(
            f"provider {name!r} has no answers to give", hint="set `answers`, or `path` to a file of them"
        )
    return answers
