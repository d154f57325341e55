"""One analysis, from bytes to a remembered report, as a stream of events. The only path: every front door drains it.

    chunks -> Digester -> Digest -> heuristic report -> [cache] -> [model, one repair] -> grounded report -> history

The heuristic report is always made: it is the answer offline, the fallback, and the floor under a model's severity.
"""

import asyncio
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import count

import msgspec
from msgspec import Struct, structs

from bifrost_domain import prompt as prompts
from bifrost_domain.archive import Archive
from bifrost_domain.breaker import Breaker
from bifrost_domain.caching import CachedReport, CacheKey, CachePolicy, cache_key
from bifrost_domain.coalescing import Coalescer
from bifrost_domain.diagnosis import Diagnosis, examine
from bifrost_domain.errors import (
    BadAnswer,
    BifrostError,
    CacheUnavailable,
    EmptyLog,
    InvalidInput,
    InvalidRequest,
    LimitReached,
    ModelError,
    ModelRefused,
    ModelThrottled,
    ModelTimeout,
    ModelUnavailable,
    NoLineInRange,
    NoReadableInput,
    ShardLost,
    StorageUnavailable,
)
from bifrost_domain.grounding import Answer, Grounded, merge, parse, quotes_of, reground, salvage, verify
from bifrost_domain.history import Incident, PromptPin, Provenance
from bifrost_domain.logs import tokens
from bifrost_domain.logs.digest import Digest, Source
from bifrost_domain.logs.digester import Budget, Digester, Shard, combine
from bifrost_domain.logs.fingerprint import fingerprint
from bifrost_domain.logs.lines import Level
from bifrost_domain.logs.redaction import Pseudonyms, Redactor, unkeyed
from bifrost_domain.logs.templates import mask
from bifrost_domain.metrics import AnalysisMetric, RunOutcome
from bifrost_domain.observations import Analysed, Asked, Begun, Circuit, Ended, Observation
from bifrost_domain.ports import (
    Cache,
    Chance,
    Clock,
    Completed,
    LanguageModel,
    LogSource,
    ModelDescription,
    ModelIdentity,
    Monotonic,
    NewId,
    Storage,
)
from bifrost_domain.prompt import Prompt, PromptVersion
from bifrost_domain.report import (
    SCHEMA_VERSION,
    Analysis,
    CacheUse,
    Engine,
    Grounding,
    Language,
    Report,
    Usage,
)

HEURISTIC = "heuristic"
AUTO = "auto"
HEURISTIC_MODEL = "signatures-1"
LEAST_BUDGET = 256
"""Tokens of log below which asking a model makes no sense."""
MAX_ANSWER_CHARACTERS = 1 << 20
SHARDED_BYTES = 256 << 20
"""A log at least this large is shared with a second process: below, starting one costs more than it saves."""
SWEPT_SECONDS = 3600.0
MOST_REMOTES = 1000
"""Models of which it is remembered how they do."""
DESCRIBED_SECONDS = 60.0
"""How long a model is taken for what it said it is: asking again costs a request in front of each answer."""
LONGEST_PAUSE_SECONDS = 300.0
"""How long a model is left alone at the most, however long its provider asks for."""
ASSUMED_CONTEXT = 8192
"""Tokens of context that a plan assumes of a model that cannot be asked."""


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a model may take. Seconds; `total_seconds` covers all tries of one analysis, `retries` come after the first.

    `at_once` requests to models run at the same time in this process, the others wait their turn. `max_cost_usd`
    refuses a request whose estimated cost is higher, before anything is sent. After `breaker_failures` in a row a
    model is left alone for `breaker_pause_seconds`, then asked once to see whether it works again.
    """

    total_seconds: float = 60.0
    first_token_seconds: float = 20.0
    idle_seconds: float = 15.0
    retries: int = 2
    at_once: int = 8
    max_cost_usd: float | None = None
    breaker_failures: int = 5
    breaker_pause_seconds: float = 15.0


class Request(Struct, frozen=True, kw_only=True):
    """What to analyse and how. `name` and `kind` describe the source as the user gave it.

    `provider` is None (as configured), "auto", "heuristic" or an entry's name; `model` overrides the entry's model.
    `prompt` is the wording to ask with, None for the one in production; `variables` are values for those it declares.
    `minimum`, `since` and `until` filter what is looked at; `zone` is that of times in the logs that name none.
    `timeout` (seconds) and `max_cost` (dollars) are the user's own limits: reaching one raises LimitReached after the
    report that exists was delivered. Without `fallback` a failing provider or storage raises instead of giving way.
    `key` is the family of the API key that asks. `id` is the one that the analysis gets, None for a new one.
    """

    name: str
    kind: str
    logs: tuple[LogSource, ...]
    provider: str | None = None
    model: str | None = None
    prompt: PromptVersion | None = None
    variables: Mapping[str, str] = {}
    language: Language = Language.EN
    minimum: Level | None = None
    since: datetime | None = None
    until: datetime | None = None
    zone: tzinfo = UTC
    budget: int | None = None
    use_cache: bool = True
    fallback: bool = True
    remember: bool = True
    timeout: float | None = None
    max_cost: float | None = None
    key: str | None = None
    id: str | None = None


class Reading(Struct, frozen=True, kw_only=True):
    """Progress: bytes of the decompressed input so far, and of how many where that is known."""

    bytes_read: int
    bytes_total: int | None = None


class Reduced(Struct, frozen=True, kw_only=True):
    digest: Digest


class CacheHit(Struct, frozen=True, kw_only=True):
    identity: ModelIdentity


class ModelStarted(Struct, frozen=True, kw_only=True):
    """A request is about to be sent: whom, the estimated tokens, and its greatest cost where a price is known."""

    identity: ModelIdentity
    input_tokens: int
    cost_usd: float | None


class Token(Struct, frozen=True, kw_only=True):
    """A piece of the model's answer as it is written: unverified, to be cleaned before it is shown."""

    text: str


class Repairing(Struct, frozen=True, kw_only=True):
    complaint: str


class FellBack(Struct, frozen=True, kw_only=True):
    """`provider` was asked and failed; the next one in the order, at last the heuristic, takes over.

    `slug` is that of the error.
    """

    provider: str
    reason: str
    slug: str = ""


class Finished(Struct, frozen=True, kw_only=True):
    """The report, final. `failed` names the inputs that could not be read, with the reason."""

    analysis: Analysis
    failed: tuple[tuple[str, str], ...] = ()


class Remembered(Struct, frozen=True, kw_only=True):
    """The report is stored. `incident`: how often it was seen, this time included; None where that cannot be told."""

    incident: Incident | None = None


class NotRemembered(Struct, frozen=True, kw_only=True):
    """The report was delivered but could not be stored."""

    reason: str


Event = (
    Reading | Reduced | CacheHit | ModelStarted | Token | Repairing | FellBack | Finished | Remembered | NotRemembered
)


class Plan(Struct, frozen=True, kw_only=True):
    """What would be sent, and to whom. `prompt` is None for the heuristic, which sends nothing.

    `assumed` says why the model could not be asked for its context, where `ASSUMED_CONTEXT` stands in for it.
    """

    identity: ModelIdentity
    description: ModelDescription | None
    prompt: Prompt | None
    digest: Digest
    input_tokens: int
    cost_usd: float | None
    assumed: str | None = None
    failed: tuple[tuple[str, str], ...] = ()


class Analyst:
    """Runs analyses. What costs time to open (models, storage, cache) comes as a function and is opened when needed.

    `open_model(name, model)` gives the configured entry `name`, with another model where `model` is not None; it raises
    ConfigurationError for an unknown name. `find_prompt(reference)` gives a wording, that in production for None.
    `secret` is the installation's key. With `pseudonyms`, hosts, users and addresses have names of its making in
    everything that comes out; only its holder can turn them back. `keep_digest`: what an engine saw is stored with its
    report, so that it can be replayed. `retention`: what is older is erased, looked after once an hour at most.
    `observe` is told of what happens, for metrics.
    """

    def __init__(
        self,
        *,
        open_model: Callable[[str, str | None], Awaitable[LanguageModel]],
        open_storage: Callable[[], Awaitable[Storage]],
        open_cache: Callable[[], Awaitable[Cache]],
        find_prompt: Callable[[str | None], Awaitable[PromptVersion]],
        provider: str,
        order: Sequence[str],
        secret: bytes,
        redact_pii: bool,
        budget: int,
        limits: Limits,
        cache_policy: CachePolicy,
        clock: Clock,
        monotonic: Monotonic,
        new_id: NewId,
        chance: Chance,
        open_shard: Callable[[], Shard] | None = None,
        pseudonyms: Pseudonyms | None = None,
        keep_digest: bool = True,
        retention: timedelta | None = None,
        observe: Callable[[Observation], None] = lambda _: None,
    ) -> None:
        self._open_model = open_model
        self._open_storage = open_storage
        self._open_cache = open_cache
        self._find_prompt = find_prompt
        self._provider = provider
        self._order = tuple(order)
        self._secret = secret
        self._redact_pii = redact_pii
        self._budget = budget
        self._limits = limits
        self._cache_policy = cache_policy
        self._clock = clock
        self._monotonic = monotonic
        self._new_id = new_id
        self._chance = chance
        self._open_shard = open_shard
        self._pseudonyms = pseudonyms
        self._keep_digest = keep_digest
        self._retention = retention
        self._archive = Archive(open_storage=open_storage, clock=clock, new_id=new_id)
        self._swept: float | None = None
        self._observe = observe
        self._remotes: OrderedDict[tuple[str, str | None], _Remote] = OrderedDict()
        self._alone: set[str] = set()
        self._room = asyncio.Semaphore(limits.at_once)
        self._coalescer = Coalescer(open_cache=open_cache, new_id=new_id)

    async def analyse(self, request: Request) -> AsyncGenerator[Event, None]:
        """Events, with exactly one Finished unless an error is raised.

        Raises NoReadableInput, EmptyLog or NoLineInRange where there is nothing to analyse; PromptNotFound and
        BadPrompt; LimitReached, after Finished, where a limit of the user's stopped it; without fallback ModelError
        before and StorageUnavailable after Finished.
        """
        began = self._monotonic()
        deadline = None if request.timeout is None else began + request.timeout
        reading = _Intake(self, request)
        self._observe(Begun())
        try:
            async with aclosing(reading.read(deadline)) as steps:
                async for step in steps:
                    yield step
            async with aclosing(self._conclude(request, reading, began, deadline)) as events:
                async for event in events:
                    yield event
        finally:
            self._observe(Ended())

    async def prepare(self, request: Request) -> Digest:
        """The wide digest of a request, with its fingerprint: all that `resume` needs to go on. Raises what `analyse`
        raises while it reads; LimitReached where the time is up before all is read."""
        deadline = None if request.timeout is None else self._monotonic() + request.timeout
        reading = _Intake(self, request)
        async with aclosing(reading.read(deadline)) as steps:
            async for _ in steps:
                pass
        if reading.limit is not None:
            raise reading.limit
        return (await reading.diagnosis()).digest

    async def resume(self, digest: Digest, request: Request) -> AsyncGenerator[Event, None]:
        """The analysis of what `prepare` made, now or later; `request.logs` play no part. Raises what `analyse` raises
        after it has read."""
        began = self._monotonic()
        deadline = None if request.timeout is None else began + request.timeout
        request = structs.replace(request, name=digest.source.name, kind=digest.source.kind, logs=())
        self._observe(Begun())
        try:
            async with aclosing(self._conclude(request, _Kept(digest), began, deadline)) as events:
                async for event in events:
                    yield event
        finally:
            self._observe(Ended())

    async def pinned(self, pin: PromptPin) -> PromptVersion:
        """The wording that was pinned. Raises PromptNotFound, and InvalidRequest where it is not what it was."""
        version = await self._find_prompt(f"{pin.name}@{pin.version}")
        if version.checksum != pin.checksum:
            raise InvalidRequest(
                f"prompt {pin.name}@{pin.version} is not the wording that was asked with then",
                hint="name one with --prompt",
            )
        return version

    def masked(self, variables: Mapping[str, str]) -> dict[str, str]:
        """Values for a prompt's variables, redacted as a log is."""
        redactor = self._redactor()
        return {name: redactor.line(value).text for name, value in variables.items()}

    async def replay(self, id: str, request: Request) -> AsyncGenerator[Event, None]:
        """The stored analysis `id` made again from the digest that was kept with it; `request.logs` play no part.

        Where `request.prompt` is None, the wording that asked before asks again. Raises what `analyse` raises;
        AnalysisNotFound; InvalidRequest where no digest was kept, or where that wording is not what it was.
        """
        analyses = (await self._open_storage()).analyses
        provenance = await analyses.provenance(id)
        if provenance is None or provenance.digest is None:
            raise InvalidRequest(
                f"analysis {id} cannot be replayed: what its engine saw was not kept",
                hint="the setting history.keep_digest has it kept",
            )
        if request.prompt is None and provenance.prompt is not None:
            request = structs.replace(request, prompt=await self.pinned(provenance.prompt))
        async with aclosing(self.resume(provenance.digest, request)) as events:
            async for event in events:
                yield event

    def left_alone(self) -> tuple[str, ...]:
        """The names of the providers that failed again and again, and are not asked for a while."""
        return tuple(sorted({name for (name, _), remote in self._remotes.items() if remote.breaker.open}))

    def _remote(self, name: str, model: str | None) -> "_Remote":
        remote = self._remotes.pop((name, model), None)
        if remote is None:
            limits = self._limits
            remote = _Remote(Breaker(failures=limits.breaker_failures, pause_seconds=limits.breaker_pause_seconds))
        self._remotes[name, model] = remote
        if len(self._remotes) > MOST_REMOTES:
            self._remotes.popitem(last=False)
            self._tell_circuits()
        return remote

    def _tell_circuits(self) -> None:
        """Who observes hears which providers are left alone from now on, and which are asked again."""
        alone = set(self.left_alone())
        for name in sorted(alone ^ self._alone):
            self._observe(Circuit(provider=name, open=name in alone))
        self._alone = alone

    async def _conclude(
        self, request: Request, intake: "_Intake | _Kept", began: float, deadline: float | None
    ) -> AsyncGenerator[Event, None]:
        """From what was read to a report that is remembered."""
        limit = intake.limit
        diagnosis = await intake.diagnosis()
        wide, offline = diagnosis.digest, diagnosis.report(request.language)
        candidates = () if limit else self._candidates(request)
        if candidates:
            request = await self._worded(request)

        runs: list[_Run] = []
        answered: _Run | None = None
        reason: str | None = None
        failure: BifrostError | None = None
        try:
            for name in candidates:
                run = _Run(self, request, name, intake, offline, deadline)
                runs.append(run)
                try:
                    async with aclosing(run.events()) as events:
                        async for event in events:
                            yield event
                except (ModelError, LimitReached) as error:
                    failure = error
                    if not request.fallback:
                        raise
                    reason = f"{name}: {error.message}"
                    yield FellBack(provider=name, reason=error.message, slug=error.slug)
                    if isinstance(error, LimitReached):
                        limit = error
                        break
                else:
                    answered = run
                    break
        except (ModelError, LimitReached) as error:
            await self._count_failure(request, runs, wide, error, began)
            raise
        if answered is not None:
            analysis, seen = answered.analysis(began), answered.digest
        else:
            yield Reduced(digest=wide)
            seen = wide
            analysis = Analysis(
                id=request.id or self._new_id(),
                created_at=self._clock(),
                source=wide.source,
                engine=Engine(
                    provider=HEURISTIC,
                    model=HEURISTIC_MODEL,
                    degraded=reason is not None or limit is not None,
                    degraded_reason=reason or (limit.message if limit else None),
                ),
                cache=CacheUse(hit=False, fingerprint=wide.fingerprint),
                report=offline,
                coverage=wide.coverage,
                redactions=wide.redactions,
                grounding=Grounding(claims=len(offline.evidence), verified=len(offline.evidence)),
                usage=_used(runs),
                duration_ms=self._since(began),
            )
        metric = self._metric(request, runs, wide, began, analysis=analysis, error=failure or limit)
        self._observe(
            Analysed(
                metric=metric,
                severity=analysis.report.severity,
                masked=analysis.redactions.by_kind,
                sought=any(run.sought for run in runs),
            )
        )
        yield Finished(analysis=analysis, failed=tuple(intake.failed))

        if request.remember:
            pin = None if answered is None else _pin(_wording(request))
            provenance = Provenance(language=request.language, prompt=pin, digest=seen if self._keep_digest else None)
            try:
                storage = await self._open_storage()
                await storage.analyses.add(analysis, provenance)
                await storage.metrics.add(metric)
                await self._sweep()
            except StorageUnavailable as error:
                if not request.fallback:
                    raise
                yield NotRemembered(reason=error.message)
            else:
                yield Remembered(incident=await self._incident(storage, analysis))
        if limit is not None:
            raise limit

    async def _sweep(self) -> None:
        """Erase what is older than it may be."""
        now = self._monotonic()
        if self._retention is None or (self._swept is not None and now - self._swept < SWEPT_SECONDS):
            return
        self._swept = now
        await self._archive.erase_before(self._clock() - self._retention, actor="bifrost")

    async def _incident(self, storage: Storage, analysis: Analysis) -> Incident | None:
        try:
            return await storage.analyses.incident(analysis.cache.fingerprint)
        except StorageUnavailable:
            return None

    async def _count_failure(
        self, request: Request, runs: "Sequence[_Run]", digest: Digest, error: BifrostError, began: float
    ) -> None:
        """A failure is counted too; where that fails as well, the failure itself is what matters."""
        metric = self._metric(request, runs, digest, began, error=error)
        sought = any(run.sought for run in runs)
        self._observe(Analysed(metric=metric, masked=digest.redactions.by_kind, sought=sought))
        if request.remember:
            with suppress(StorageUnavailable):
                await (await self._open_storage()).metrics.add(metric)

    def _metric(
        self,
        request: Request,
        runs: "Sequence[_Run]",
        digest: Digest,
        began: float,
        *,
        analysis: Analysis | None = None,
        error: BifrostError | None = None,
    ) -> AnalysisMetric:
        used = _used(runs)
        asked = runs[0].asked if runs else (HEURISTIC, HEURISTIC_MODEL)
        if analysis is None:
            outcome = RunOutcome.FAILED
        elif analysis.engine.degraded:
            outcome = RunOutcome.DEGRADED
        elif analysis.engine.provider == HEURISTIC:
            outcome = RunOutcome.OFFLINE
        else:
            asked = (analysis.engine.provider, analysis.engine.model)
            outcome = RunOutcome.CACHED if analysis.cache.hit else RunOutcome.ANSWERED
        return AnalysisMetric(
            id=self._new_id(),
            at=self._clock(),
            outcome=outcome,
            provider=asked[0],
            model=asked[1],
            analysis=None if analysis is None else analysis.id,
            error=None if error is None else error.slug,
            key=request.key,
            duration_ms=self._since(began),
            first_token_ms=next((run.first_token_ms for run in runs if run.first_token_ms is not None), None),
            calls=sum(run.calls for run in runs),
            input_tokens=used.input_tokens,
            output_tokens=used.output_tokens,
            cost_usd=used.cost_usd,
            lines_read=digest.coverage.lines_read,
            bytes_read=digest.coverage.bytes_read,
        )

    async def plan(self, request: Request) -> Plan:
        """What `analyse` would send for this request to the first provider in line. No log text leaves the process."""
        reading = _Intake(self, request)
        async with aclosing(reading.read(None)) as steps:
            async for _ in steps:
                pass
        names = self._candidates(request)
        if not names:
            return Plan(
                identity=ModelIdentity(provider=HEURISTIC, model=HEURISTIC_MODEL),
                description=None,
                prompt=None,
                digest=(await reading.diagnosis()).digest,
                input_tokens=0,
                cost_usd=None,
                failed=tuple(reading.failed),
            )
        request = await self._worded(request)
        model = await self._open_model(names[0], request.model)
        assumed = None
        try:
            description = await model.describe()
        except ModelError as error:
            description = ModelDescription(context_tokens=ASSUMED_CONTEXT, max_output_tokens=prompts.MAX_OUTPUT_TOKENS)
            assumed = error.message
        digest, prompt = await self._compose(request, reading, description)
        input_tokens, cost = _estimate(prompt, description)
        return Plan(
            identity=model.identity,
            description=description,
            prompt=prompt,
            digest=digest,
            input_tokens=input_tokens,
            cost_usd=cost,
            assumed=assumed,
            failed=tuple(reading.failed),
        )

    async def rendered(self, request: Request) -> Prompt:
        """What a model with a context of `ASSUMED_CONTEXT` would be sent for this request. Opens no model."""
        intake = _Intake(self, request)
        async with aclosing(intake.read(None)) as steps:
            async for _ in steps:
                pass
        description = ModelDescription(context_tokens=ASSUMED_CONTEXT, max_output_tokens=prompts.MAX_OUTPUT_TOKENS)
        _, prompt = await self._compose(await self._worded(request), intake, description)
        return prompt

    async def digest(
        self,
        request: Request,
        budget: Budget,
        *,
        templates: bool = False,
        named: bool = True,
        told: Callable[[Reading], None] = lambda reading: None,
    ) -> tuple[Digest, tuple[tuple[str, str], ...]]:
        """The evidence digest alone, and the inputs that could not be read. Raises NoReadableInput, EmptyLog.

        With `templates` all lines are mined for them, not only those that are looked at. Without `named` it has no
        fingerprint, and the diagnosis that one is taken of is not made. `told` hears of the progress.
        """
        reading = _Intake(self, request, templates=templates)
        async with aclosing(reading.read(None)) as steps:
            async for step in steps:
                told(step)
        digest = await reading.digest(budget)
        reading.check(digest)
        return await reading.named(digest) if named else digest, tuple(reading.failed)

    async def _worded(self, request: Request) -> Request:
        """The request with the wording to ask with; values of its variables are redacted as the log is."""
        return structs.replace(
            request,
            prompt=request.prompt or await self._find_prompt(None),
            variables=self.masked(request.variables),
        )

    def _redactor(self) -> Redactor:
        return Redactor(self._secret, pii=self._redact_pii, pseudonyms=self._pseudonyms)

    def _candidates(self, request: Request) -> tuple[str, ...]:
        name = request.provider or self._provider
        if name == AUTO:
            return tuple(entry for entry in self._order if entry != HEURISTIC)
        return () if name == HEURISTIC else (name,)

    async def _compose(
        self, request: Request, reading: "_Intake | _Kept", description: ModelDescription
    ) -> tuple[Digest, Prompt]:
        """The digest and the prompt that fit the model's context, the answer included. Raises ModelRefused."""
        output = min(description.max_output_tokens, prompts.output_tokens(description.context_tokens))
        version = _wording(request)
        room = description.context_tokens - prompts.overhead(version, output)
        budget = min(request.budget or self._budget, room)
        while budget >= LEAST_BUDGET:
            digest = await reading.digest(Budget(tokens=budget))
            text = "\n".join(line.text for line in digest.lines)
            nonce = hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()[:32]
            prompt = prompts.render(version, digest, request.language, nonce, output, request.variables)
            excess = prompt.context_tokens - description.context_tokens
            if excess <= 0:
                return digest, prompt
            budget -= excess
        raise ModelRefused(
            f"its context of {description.context_tokens} tokens is too small for the prompt",
            hint="choose a model with at least 2048 tokens of context",
        )

    def _key(self, request: Request, identity: ModelIdentity, digest: Digest) -> CacheKey:
        files = {name: place for place, name in enumerate(dict.fromkeys(line.file for line in digest.lines))}
        return cache_key(
            self._secret,
            (
                "report",
                str(SCHEMA_VERSION),
                identity.provider,
                identity.model,
                msgspec.json.encode(identity.options, order="deterministic").decode(),
                _wording(request).checksum,
                msgspec.json.encode(request.variables, order="deterministic").decode(),
                str(request.language),
                "pii" if self._redact_pii else "no-pii",
                "names" if self._pseudonyms is None else "pseudonyms",
                *(f"{files[line.file]}:{mask(unkeyed(line.text))}" for line in digest.lines),
            ),
        )

    async def _cached(self, key: CacheKey) -> CachedReport | None:
        try:
            cached = await (await self._open_cache()).reports.get(key)
        except CacheUnavailable:
            return None
        return cached if cached is not None and cached.schema_version == SCHEMA_VERSION else None

    async def _keep(self, key: CacheKey, cached: CachedReport) -> None:
        try:
            cache = await self._open_cache()
            await cache.reports.put(key, cached, self._cache_policy.ttl_for(cached.report))
        except CacheUnavailable:
            return

    def _since(self, began: float) -> int:
        return max(0, round((self._monotonic() - began) * 1000))


class _Intake:
    """Reads the inputs of one request into digesters, and makes digests of any size from them."""

    def __init__(self, analyst: Analyst, request: Request, *, templates: bool = False) -> None:
        self._analyst = analyst
        self._request = request
        self._templates = templates
        self._digesters: list[Digester] = []
        self._diagnosis: Diagnosis | None = None
        self._bytes = 0
        self._total: int | None = None
        self.failed: list[tuple[str, str]] = []
        self.limit: LimitReached | None = None

    async def read(self, deadline: float | None) -> AsyncGenerator[Reading, None]:
        """Reads all inputs, or up to the deadline. Raises NoReadableInput where none could be read, EmptyLog."""
        error: InvalidInput | None = None
        redactor = self._analyst._redactor()
        sizes = await asyncio.to_thread(lambda: [log.size for log in self._request.logs])
        known = [size for size in sizes if size is not None]
        self._total = sum(known) if len(known) == len(sizes) else None
        for log, size in zip(self._request.logs, sizes, strict=True):
            if self.limit is not None:
                break
            open_shard = None if self._templates or (size or 0) < SHARDED_BYTES else self._analyst._open_shard
            try:
                try:
                    async with aclosing(self._read_log(log, redactor, deadline, open_shard)) as steps:
                        async for step in steps:
                            yield step
                except ShardLost:
                    async with aclosing(self._read_log(log, redactor, deadline, None)) as steps:
                        async for step in steps:
                            yield step
            except InvalidInput as problem:
                error = problem
                self.failed.append((log.name, problem.message))
            except TimeoutError:
                self.limit = LimitReached(
                    f"--timeout of {self._request.timeout:g} s was reached while reading {log.name}; "
                    f"the report covers what was read until then"
                )
        if self._bytes == 0:
            if error is not None:
                raise error
            if not self._request.logs:
                raise NoReadableInput("there is nothing to read", hint="name a file, or pipe a log in")
            raise EmptyLog(f"{self._request.name} is empty", hint="check that the command in front printed a log")

    async def _read_log(
        self, log: LogSource, redactor: Redactor, deadline: float | None, open_shard: Callable[[], Shard] | None
    ) -> AsyncGenerator[Reading, None]:
        """Reads one log into a digester of its own. Raises InvalidInput, TimeoutError; ShardLost, as if not begun."""
        request = self._request
        shard = None if open_shard is None else open_shard()
        digester = Digester(
            log.name,
            redactor,
            since=request.since,
            until=request.until,
            minimum=request.minimum,
            reference=self._analyst._clock().astimezone(request.zone),
            templates=self._templates,
            shard=shard,
        )
        before = self._bytes
        self._digesters.append(digester)
        try:
            try:
                async with aclosing(_until(deadline, self._analyst._monotonic, log.chunks())) as chunks:
                    async for chunk in chunks:
                        await asyncio.to_thread(digester.feed, chunk)
                        self._bytes += len(chunk)
                        yield Reading(bytes_read=self._bytes, bytes_total=self._total)
            except (InvalidInput, TimeoutError):
                await asyncio.to_thread(digester.end)
                raise
            await asyncio.to_thread(digester.end)
        except ShardLost:
            self._digesters.remove(digester)
            self._bytes = before
            raise
        finally:
            if shard is not None:
                shard.close()

    async def digest(self, budget: Budget) -> Digest:
        """A digest within `budget`, without a fingerprint."""
        source = Source(name=self._request.name, kind=self._request.kind)
        return await asyncio.to_thread(combine, self._digesters, source, budget)

    async def diagnosis(self) -> Diagnosis:
        """What the offline analyst makes of the widest digest, which has the fingerprint."""
        if self._diagnosis is None:
            digest = await self.digest(Budget())
            self.check(digest)
            found = await asyncio.to_thread(examine, digest)
            name = fingerprint(found.identity())
            self._diagnosis = structs.replace(found, digest=structs.replace(found.digest, fingerprint=name))
        return self._diagnosis

    def check(self, digest: Digest) -> None:
        """Raises NoLineInRange where the asked time leaves no line: that is no sign that all is well."""
        since, until, coverage = self._request.since, self._request.until, digest.coverage
        if digest.lines or (since is None and until is None) or not coverage.lines_read:
            return
        asked = " ".join(
            f"{word} {moment:%Y-%m-%dT%H:%M:%SZ}" for word, moment in (("from", since), ("to", until)) if moment
        )
        spans = [digester.span for digester in self._digesters if digester.span is not None]
        if not spans:
            raise NoLineInRange(
                f"no line of {self._request.name} lies in the asked time ({asked}): none has a time that can be read",
                hint="leave --since and --until out",
            )
        raise NoLineInRange(
            f"no line of {self._request.name} lies in the asked time ({asked}): its times run from "
            f"{min(first for first, _ in spans):%Y-%m-%dT%H:%M:%SZ} to "
            f"{max(last for _, last in spans):%Y-%m-%dT%H:%M:%SZ}",
            hint="times without a zone are read as UTC unless --time-zone says otherwise; without --since and --until "
            "all lines are looked at",
        )

    async def named(self, digest: Digest) -> Digest:
        """`digest` with the fingerprint of the widest one, so that no budget plays a part in it."""
        return structs.replace(digest, fingerprint=(await self.diagnosis()).digest.fingerprint)


class _Kept:
    """The digest of an analysis that was stored, in the place of an _Intake."""

    def __init__(self, digest: Digest) -> None:
        self._digest = digest
        self.failed: tuple[tuple[str, str], ...] = ()
        self.limit: LimitReached | None = None

    async def digest(self, budget: Budget) -> Digest:
        """Within `budget`, the loudest lines of it, in their order."""
        kept, room = set(), budget.room
        for place in sorted(
            range(len(self._digest.lines)), key=lambda place: (-self._digest.lines[place].level.rank, place)
        ):
            line = self._digest.lines[place]
            room -= len(line.text) + len(str(line.number)) + 3
            if room >= 0:
                kept.add(place)
        lines = tuple(line for place, line in enumerate(self._digest.lines) if place in kept)
        coverage = structs.replace(self._digest.coverage, lines_shown=len(lines))
        return structs.replace(self._digest, lines=lines, coverage=coverage)

    async def diagnosis(self) -> Diagnosis:
        return await asyncio.to_thread(examine, self._digest)

    async def named(self, digest: Digest) -> Digest:
        return digest


class _Remote:
    """One entry's model, as it has shown itself to all runs: whether it works, what it is, and who waits to ask it."""

    def __init__(self, breaker: Breaker) -> None:
        self.breaker = breaker
        self.last_failure = ""
        self.description: ModelDescription | None = None
        self.described_at = 0.0
        self._waiting: set[asyncio.Timeout] = set()

    @asynccontextmanager
    async def patience(self, seconds: float | None) -> AsyncGenerator[None, None]:
        """Around waiting to ask: TimeoutError after `seconds`, or as soon as it is left alone."""
        async with asyncio.timeout(seconds) as waiting:
            self._waiting.add(waiting)
            try:
                yield
            finally:
                self._waiting.discard(waiting)

    def failed(self, error: ModelError, now: float) -> None:
        asked = error.retry_after if isinstance(error, ModelThrottled | ModelUnavailable) else None
        self.last_failure = error.message
        self.breaker.failed(now, pause_seconds=min(asked or 0.0, LONGEST_PAUSE_SECONDS))
        if self.breaker.open:
            for waiting in self._waiting:
                if not waiting.expired():
                    waiting.reschedule(0.0)


class _Run:
    """One provider's try at one request. `calls` counts the requests sent; `first_token_ms` begins at the first."""

    def __init__(
        self,
        analyst: Analyst,
        request: Request,
        name: str,
        reading: _Intake | _Kept,
        offline: Report,
        deadline: float | None,
    ) -> None:
        self._analyst = analyst
        self._request = request
        self._name = name
        self._reading = reading
        self._offline = offline
        self._typed = deadline is not None
        self._deadline = analyst._monotonic() + analyst._limits.total_seconds if deadline is None else deadline
        self._identity: ModelIdentity | None = None
        self._grounded: Grounded
        self._truncated = False
        self._hit = False
        self.sought = False
        self._asked_at: float | None = None
        self._remote = analyst._remote(name, request.model)
        self._probes = False
        self.digest: Digest
        self.usage = Usage()
        self.calls = 0
        self.first_token_ms: int | None = None

    @property
    def asked(self) -> tuple[str, str]:
        """Provider and model, as far as they are known."""
        identity = self._identity
        return (self._name, self._request.model or "") if identity is None else (identity.provider, identity.model)

    async def events(self) -> AsyncGenerator[Event, None]:
        """Ends when a report stands. Raises ModelError, LimitReached, ConfigurationError."""
        analyst, request = self._analyst, self._request
        model = await analyst._open_model(self._name, request.model)
        self._identity = identity = model.identity
        description = await self._describe(model)
        digest, prompt = await analyst._compose(request, self._reading, description)
        self.digest = await self._reading.named(digest)
        yield Reduced(digest=self.digest)
        if not request.use_cache:
            async with aclosing(self._answered(model, identity, prompt, description)) as events:
                async for event in events:
                    yield event
            return

        key = analyst._key(request, identity, self.digest)

        async def lookup() -> CachedReport | None:
            self.sought = True
            return await analyst._cached(key)

        if self._reuse(await lookup(), prompt):
            yield CacheHit(identity=identity)
            return
        try:
            async with analyst._coalescer.turn(key, lookup, self._left()) as turn:
                if self._reuse(turn.found, prompt):
                    yield CacheHit(identity=identity)
                    return
                async with aclosing(self._answered(model, identity, prompt, description)) as events:
                    async for event in events:
                        yield event
                fresh = self._cached_report()
                if not self._invented:
                    await analyst._keep(key, fresh)
                turn.bring(fresh)
        except TimeoutError as error:
            raise self._too_slow("the same question was asked already, and its answer did not come in time") from error

    def _reuse(self, cached: CachedReport | None, prompt: Prompt) -> bool:
        """Take an answer that was given before, where enough of its quotes stand in the present log."""
        again = None if cached is None else reground(cached.report, cached.timeline_quotes, self.digest)
        if again is None:
            return False
        self._grounded, self._hit = merge(again, self._offline, prompt.system), True
        return True

    async def _answered(
        self, model: LanguageModel, identity: ModelIdentity, prompt: Prompt, description: ModelDescription
    ) -> AsyncGenerator[Event, None]:
        """Asks, once more where the answer is no report, and verifies it."""
        input_tokens, cost = _estimate(prompt, description)
        self._check_cost(cost, description)
        self._check_circuit()
        yield ModelStarted(identity=identity, input_tokens=input_tokens, cost_usd=cost)
        text = ""
        async with aclosing(self._ask(model, prompt, description)) as pieces:
            async for piece in pieces:
                text += piece
                yield Token(text=piece)
        try:
            answer = self._read(text)
        except BadAnswer as bad:
            again_prompt = prompts.repair(prompt, text, bad.message)
            if again_prompt.context_tokens > description.context_tokens:
                raise BadAnswer(
                    f"its answer was no valid report, and its context has no room for a second try: {bad.message}",
                    provider=self._name,
                ) from bad
            yield Repairing(complaint=bad.message)
            self._check_cost(_estimate(again_prompt, description)[1], description)
            text = ""
            async with aclosing(self._ask(model, again_prompt, description)) as pieces:
                async for piece in pieces:
                    text += piece
                    yield Token(text=piece)
            try:
                answer = self._read(text)
            except BadAnswer as worse:
                raise BadAnswer(
                    f"its answer was no valid report, the second try included: {worse.message}", provider=self._name
                ) from worse
        self._own = verify(answer, self.digest)
        self._grounded = merge(self._own, self._offline, prompt.system)

    @property
    def _invented(self) -> bool:
        """Whether the model quoted, and nothing of it stands in the log."""
        grounding = self._own.grounding
        return grounding.claims > 0 and grounding.verified == 0

    def _cached_report(self) -> CachedReport:
        return CachedReport(
            schema_version=SCHEMA_VERSION,
            created_at=self._analyst._clock(),
            report=self._own.report,
            usage=self.usage,
            timeline_quotes=quotes_of(self._own.report.timeline, self.digest),
        )

    def _read(self, text: str) -> Answer:
        """The answer in `text`; where the output limit cut it, what was complete of it. Raises BadAnswer."""
        try:
            return parse(text)
        except BadAnswer:
            if not self._truncated:
                raise
            return salvage(text)

    def analysis(self, began: float) -> Analysis:
        provider, model = self.asked
        return Analysis(
            id=self._request.id or self._analyst._new_id(),
            created_at=self._analyst._clock(),
            source=self.digest.source,
            engine=Engine(provider=provider, model=model, prompt=_pin(_wording(self._request)).reference),
            cache=CacheUse(hit=self._hit, fingerprint=self.digest.fingerprint),
            report=self._grounded.report,
            coverage=self.digest.coverage,
            redactions=self.digest.redactions,
            grounding=self._grounded.grounding,
            usage=self.usage,
            duration_ms=self._analyst._since(began),
        )

    async def _describe(self, model: LanguageModel) -> ModelDescription:
        """What the model is, by its own word or by what is remembered of it.

        A model that is left alone is taken at its old word: an answer it gave before may stand in the cache.
        """
        analyst, remote = self._analyst, self._remote
        known, age = remote.description, analyst._monotonic() - remote.described_at
        if known is not None and (remote.breaker.open or age < DESCRIBED_SECONDS):
            return known
        usual = analyst._limits.first_token_seconds
        for attempt in count():
            self._enter()
            patience = self._patience(usual)
            try:
                async with asyncio.timeout(patience):
                    remote.description = await model.describe()
                remote.described_at = analyst._monotonic()
                return remote.description
            except TimeoutError as error:
                raise self._silent("it did not say what it is in time", patience, usual) from error
            except ModelError as error:
                self._judge(error)
                if not isinstance(error, ModelThrottled | ModelUnavailable):
                    raise
                refused = error
            finally:
                self._leave()
            await self._wait_or_raise(refused, attempt)
        raise AssertionError("unreachable")

    async def _ask(
        self, model: LanguageModel, prompt: Prompt, description: ModelDescription
    ) -> AsyncGenerator[str, None]:
        """The answer piece by piece. A failure before the first piece is tried again, one after it is not."""
        limits = self._analyst._limits
        for attempt in count():
            await self._take_turn()
            self.calls += 1
            started = False
            outcome, first_token = "left", None
            now, before = self._analyst._monotonic(), self.usage
            self._asked_at = now if self._asked_at is None else self._asked_at
            try:
                length = 0
                async with aclosing(model.stream(prompt)) as stream:
                    while True:
                        usual = limits.idle_seconds if started else limits.first_token_seconds
                        patience = self._patience(usual)
                        async with asyncio.timeout(patience):
                            event = await anext(stream, None)
                        if event is None:
                            raise BadAnswer("its answer ended without an end", provider=self._name, malformed=True)
                        if isinstance(event, Completed):
                            self._truncated = event.truncated
                            self._count(event, description)
                            self._worked()
                            outcome = "answered"
                            return
                        if first_token is None:
                            first_token = self._analyst._monotonic() - now
                        if self.first_token_ms is None:
                            self.first_token_ms = self._analyst._since(self._asked_at)
                        started = True
                        length += len(event.text)
                        if length > MAX_ANSWER_CHARACTERS:
                            raise BadAnswer("its answer does not end", provider=self._name, malformed=True)
                        yield event.text
            except TimeoutError as error:
                what = "it stopped in the middle of its answer" if started else "it did not begin to answer in time"
                slow = self._silent(what, patience, usual)
                outcome = slow.slug
                raise slow from error
            except ModelError as error:
                self._judge(error)
                outcome = error.slug
                if started or not isinstance(error, ModelThrottled | ModelUnavailable):
                    raise
                refused = error
            finally:
                self._leave()
                self._analyst._room.release()
                self._analyst._observe(
                    Asked(
                        provider=self.asked[0],
                        model=self.asked[1],
                        outcome=outcome,
                        seconds=self._analyst._monotonic() - now,
                        first_token_seconds=first_token,
                        input_tokens=self.usage.input_tokens - before.input_tokens,
                        output_tokens=self.usage.output_tokens - before.output_tokens,
                    )
                )
            await self._wait_or_raise(refused, attempt)

    async def _take_turn(self) -> None:
        """Waits in line, as long as the model is worth waiting for."""
        room = self._analyst._room
        self._check_circuit()
        try:
            async with self._remote.patience(self._left()):
                await room.acquire()
        except TimeoutError as error:
            self._check_circuit()
            raise self._too_slow("too many other requests were running to ask it in time") from error
        try:
            self._enter()
        except ModelUnavailable:
            room.release()
            raise

    def _check_circuit(self) -> None:
        """Raises ModelUnavailable where the model is left alone now."""
        left = self._remote.breaker.left(self._analyst._monotonic())
        if left > 0:
            raise self._left_alone(left)

    def _enter(self) -> None:
        """Before each call. Raises ModelUnavailable where the model is left alone; `_leave` has to follow."""
        breaker, now = self._remote.breaker, self._analyst._monotonic()
        if not breaker.allows(now):
            raise self._left_alone(breaker.left(now))
        self._probes = breaker.open

    def _leave(self) -> None:
        """After each call. What ended it may say nothing of the model: who asked left, or its time or money was up."""
        if self._probes:
            self._probes = False
            self._remote.breaker.withdrawn(self._analyst._monotonic())

    def _worked(self) -> None:
        self._probes = False
        was_open = self._remote.breaker.open
        self._remote.breaker.succeeded()
        if was_open:
            self._analyst._tell_circuits()

    def _failed(self, error: ModelError) -> None:
        self._probes = False
        self._remote.failed(error, self._analyst._monotonic())
        if self._remote.breaker.open:
            self._analyst._tell_circuits()

    def _judge(self, error: ModelError) -> None:
        """Counts what the provider is to blame for.

        Neither what a model that works wrote, nor what is refused for good: a log could have the one, and a request
        the other at will, and have a provider that works left alone for everybody.
        """
        if isinstance(error, BadAnswer) and not error.malformed:
            self._worked()
        elif not isinstance(error, ModelUnavailable) or error.retryable:
            self._failed(error)

    def _silent(self, what: str, patience: float, usual: float) -> BifrostError:
        """The error of a model that was silent for `patience` seconds. It is blamed where that is a fair part of the
        usual, and not where the wait before left it no time."""
        if not self._typed and 2 * patience < min(usual, self._analyst._limits.total_seconds):
            return self._too_slow("the time for all of it was up before its answer was complete")
        slow = self._too_slow(what)
        if isinstance(slow, ModelError):
            self._failed(slow)
        return slow

    def _left_alone(self, left: float) -> ModelUnavailable:
        return ModelUnavailable(
            f"it failed {self._analyst._limits.breaker_failures} times in a row and is left alone for now; "
            f"the last time: {self._remote.last_failure}",
            provider=self._name,
            hint="see `bifrost doctor` for what is wrong with it",
            retryable=True,
            retry_after=left,
        )

    def _count(self, event: Completed, description: ModelDescription) -> None:
        used = self.usage
        cost = _cost(event.input_tokens, event.output_tokens, description)
        self.usage = Usage(
            input_tokens=used.input_tokens + event.input_tokens,
            output_tokens=used.output_tokens + event.output_tokens,
            cost_usd=None if cost is None else round((used.cost_usd or 0.0) + cost, 8),
        )

    def _left(self) -> float:
        return max(0.0, self._deadline - self._analyst._monotonic())

    def _patience(self, seconds: float) -> float:
        """How long to wait now: `seconds`, or what is left of the total. A limit the user typed widens the others."""
        return self._left() if self._typed else min(seconds, self._left())

    def _too_slow(self, what: str) -> BifrostError:
        if self._typed:
            return LimitReached(f"--timeout of {self._request.timeout:g} s was reached: {what}")
        return ModelTimeout(
            what, provider=self._name, hint="give it longer with --timeout SECONDS or `limits` in the configuration"
        )

    async def _wait_or_raise(self, error: ModelThrottled | ModelUnavailable, attempt: int) -> None:
        """Waits before the next try, by full jitter or as the provider asks. Raises `error` where none is left."""
        retryable = isinstance(error, ModelThrottled) or error.retryable
        asked = error.retry_after if isinstance(error, ModelThrottled) else None
        wait = asked if asked is not None else self._analyst._chance() * 0.5 * 2**attempt
        left = self._deadline - self._analyst._monotonic()
        if not retryable or attempt >= self._analyst._limits.retries or wait >= left or self._remote.breaker.open:
            raise error
        try:
            async with self._remote.patience(None):
                await asyncio.sleep(wait)
        except TimeoutError:
            raise error from None

    def _check_cost(self, cost: float | None, description: ModelDescription) -> None:
        most = self._request.max_cost
        if most is None:
            most = self._analyst._limits.max_cost_usd
        if most is None or description.free:
            return
        if cost is None:
            raise LimitReached(
                f"the price of {self.asked[1]} is not known, so a limit of ${most:g} cannot be kept",
                hint="set usd_per_million_input and usd_per_million_output in the provider's entry",
            )
        if (total := (self.usage.cost_usd or 0.0) + cost) > most:
            raise LimitReached(
                f"asking {self.asked[1]} may cost up to ${total:.4f}, over the limit of ${most:g}",
                hint="lower --budget, or raise --max-cost",
            )


def _wording(request: Request) -> PromptVersion:
    assert request.prompt is not None
    return request.prompt


def _pin(version: PromptVersion) -> PromptPin:
    return PromptPin(name=version.name, version=version.version, checksum=version.checksum)


def _used(runs: Sequence[_Run]) -> Usage:
    """Tokens and cost of all runs; the cost is None where none of them has one."""
    costs = [run.usage.cost_usd for run in runs if run.usage.cost_usd is not None]
    return Usage(
        input_tokens=sum(run.usage.input_tokens for run in runs),
        output_tokens=sum(run.usage.output_tokens for run in runs),
        cost_usd=sum(costs) if costs else None,
    )


def _estimate(prompt: Prompt, description: ModelDescription) -> tuple[int, float | None]:
    """Input tokens by our own estimate, and the most the request can cost: the answer counts at its full length."""
    sent = tokens.estimate(prompt.system) + tokens.estimate(prompt.user)
    return sent, _cost(sent, prompt.max_output_tokens, description)


def _cost(input_tokens: int, output_tokens: int, description: ModelDescription) -> float | None:
    if description.usd_per_million_input is None or description.usd_per_million_output is None:
        return None
    spent = input_tokens * description.usd_per_million_input + output_tokens * description.usd_per_million_output
    return spent / 1_000_000


async def _until(
    deadline: float | None, monotonic: Monotonic, chunks: AsyncGenerator[bytes, None]
) -> AsyncGenerator[bytes, None]:
    """`chunks` until the deadline. Raises TimeoutError there."""
    async with aclosing(chunks) as stream:
        while True:
            async with asyncio.timeout(None if deadline is None else max(0.0, deadline - monotonic())):
                chunk = await anext(stream, None)
            if chunk is None:
                return
            yield chunk
