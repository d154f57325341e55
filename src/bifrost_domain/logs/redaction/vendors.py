"""Secrets that can be told by their own shape: a vendor's prefix, a fixed frame, a hash scheme.

Prefixes and alphabets are those the vendors document, and those of gitleaks' public rule list (gitleaks.io). Lengths
are lower bounds and nothing is asked of what follows, because a log puts `&`, `,`, `<`, `)` or `\\"` behind a token,
and a tail that a rule leaves over is a tail that leaks.
"""

import re
from typing import NamedTuple

_LEAST = re.compile(r"(\[[^\]]*\]|\\w)(?:\{([0-9]+))?")
_GLIMPSE = 14


class Shape(NamedTuple):
    """`pattern` is RE2 over bytes. `starts` are the literals one of which opens every match, empty where none does.

    `opening` matches wherever `pattern` does and is short: looking for many long repetitions at once is what makes an
    automaton large.
    """

    kind: str
    pattern: str
    starts: tuple[str, ...]
    opening: str


def _framed(kind: str, pattern: str) -> Shape:
    return Shape(kind, pattern, (), pattern)


def _prefixed(kind: str, prefixes: str, rest: str, *, word: bool = False) -> Shape:
    """`word`: the prefix is too short to mean anything in the middle of a word."""
    starts = tuple(prefixes.split())
    quoted = "|".join(start.replace(".", r"\.").replace("$", r"\$") for start in starts)
    head = (r"\b" if word else "") + f"(?:{quoted})"
    least = _LEAST.match(rest)
    glimpse = f"{least[1]}{{{min(_GLIMPSE, int(least[2] or 1))}}}" if least else ""
    return Shape(kind, head + rest, starts, head + glimpse)


_UUID = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"

SHAPES: tuple[Shape, ...] = (
    _prefixed("bifrost-key", "bfr_live_ bfr_test_", "[0-9A-Za-z]{8,}(?:_[0-9A-Za-z]+)*"),
    # clouds
    _prefixed("aws-access-key", "AKIA ASIA ABIA ACCA A3T", r"[A-Z0-9]{16,17}\b", word=True),
    _prefixed("aws-session-token", "FwoGZXIvYXdz FQoGZXIvYXdz IQoJb3JpZ2lu", r"[A-Za-z0-9/+=_%-]{40,}"),
    _prefixed("aws-bedrock-key", "ABSK", r"[A-Za-z0-9+/]{60,}={0,2}", word=True),
    _prefixed("aws-bedrock-key", "bedrock-api-key-", r"[A-Za-z0-9+/=_-]{30,}"),
    _prefixed("aws-mws-token", "amzn.mws.", _UUID),
    _prefixed("gcp-api-key", "AIza", r"[\w-]{30,}", word=True),
    _prefixed("gcp-oauth-secret", "GOCSPX-", r"[\w-]{20,}"),
    _prefixed("gcp-oauth-token", "ya29.", r"[\w.-]{20,}"),
    _prefixed("gcp-refresh-token", "1//0", r"[\w-]{30,}", word=True),
    _framed("azure-client-secret", r"\b[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,}"),
    _prefixed("alibaba-access-key", "LTAI", r"[A-Za-z0-9]{12,}", word=True),
    _prefixed("tencent-secret-id", "AKID", r"[A-Za-z0-9]{32,}", word=True),
    _prefixed("yandex-api-key", "AQVN", r"[\w-]{35,}", word=True),
    _prefixed("digitalocean-token", "dop_v1_ doo_v1_ dor_v1_ dot_v1_", "[0-9a-f]{40,}"),
    _prefixed("heroku-key", "HRKU-", r"[\w-]{30,}"),
    _prefixed("fly-token", "fm1_ fm2_ fm1r_ fm1a_ fo1_", "[A-Za-z0-9+/=,_-]{40,}", word=True),
    _prefixed("netlify-token", "nfp_ nfc_ nfo_ nfu_", "[A-Za-z0-9]{30,}", word=True),
    _prefixed("vercel-token", "vcp_ vci_ vca_ vcr_ vck_ vercel_blob_rw_", r"\w{20,}", word=True),
    _prefixed("supabase-key", "sbp_ sb_secret_", r"[\w-]{20,}", word=True),
    _prefixed("neon-key", "napi_", "[a-z0-9]{40,}", word=True),
    _prefixed("render-key", "rnd_", "[A-Za-z0-9]{28,}", word=True),
    _prefixed("cloudflare-key", "v1.0-", "[0-9a-f]{24}-[0-9a-f]{100,}", word=True),
    _prefixed("cloudflare-token", "cfut_ cfat_ cfk_", r"[\w-]{30,}", word=True),
    _prefixed("planetscale-token", "pscale_tkn_ pscale_oauth_ pscale_pw_", r"[\w=.-]{30,}"),
    _prefixed("databricks-token", "dapi dose dkea", "[0-9a-f]{32,}(?:-[0-9])?", word=True),
    # source hosting, building, packages
    _prefixed("github-token", "ghp_ gho_ ghu_ ghs_ ghr_", r"[A-Za-z0-9]{30,}(?:[._-][\w-]+)*"),
    _prefixed("github-token", "github_pat_", r"\w{40,}"),
    _prefixed(
        "gitlab-token",
        "glpat- glptt- gldt- glrt- glrtr- glcbt- glft- glimt- glagent- gloas- glsoat- glffct- glwt-",
        r"[\w-]{20,}(?:\.[\w-]+)*",
    ),
    _prefixed("gitlab-token", "GR1348941", r"[\w-]{20,}"),
    _prefixed("facebook-token", "EAAC EAAM EAAB EAAG", "[A-Za-z0-9]{40,}", word=True),
    _prefixed("bitbucket-token", "ATBB", r"[A-Za-z0-9]{24,}[\w=-]*", word=True),
    _prefixed("atlassian-token", "ATATT3 ATCTT3 ATSTT3", r"[\w=+/-]{40,}", word=True),
    _prefixed("npm-token", "npm_", "[A-Za-z0-9]{30,}"),
    _prefixed("pypi-token", "pypi-AgE", r"[\w-]{40,}"),
    _prefixed("rubygems-key", "rubygems_", "[0-9a-f]{40,}"),
    _prefixed("nuget-key", "oy2", "[a-z0-9]{43}", word=True),
    _prefixed("crates-token", "cio", "[A-Za-z0-9]{32}", word=True),
    _prefixed("clojars-token", "CLOJARS_", "[a-zA-Z0-9]{50,}"),
    _prefixed("docker-token", "dckr_pat_ dckr_oat_", r"[\w-]{20,}"),
    _prefixed("jfrog-key", "AKCp cmVmdGtuO", "[A-Za-z0-9]{40,}", word=True),
    _prefixed("circleci-token", "CCIPAT_ CCIPRJ_", "[A-Za-z0-9]+_[0-9a-f]{30,}"),
    _prefixed("buildkite-token", "bkua_ bkct_", "[A-Za-z0-9]{30,}", word=True),
    _prefixed("sonar-token", "sqp_ squ_ sqa_", "[0-9a-zA-Z]{40}", word=True),
    _prefixed("sourcegraph-token", "sgp_", "[0-9a-zA-Z_]{40,}", word=True),
    _prefixed("octopus-key", "API-", "[A-Z0-9]{26,}", word=True),
    _prefixed("harness-token", "pat. sat.", r"[\w-]{22}\.[0-9a-f]{24}\.[A-Za-z0-9]{20,}", word=True),
    _prefixed("openshift-token", "sha256~", r"[\w-]{43,}"),
    _prefixed("pulumi-token", "pul-", "[0-9a-f]{40,}", word=True),
    _prefixed("prefect-key", "pnu_ pnb_", "[a-zA-Z0-9]{36,}", word=True),
    _framed("terraform-token", r"\b[A-Za-z0-9]{14}\.atlasv1\.[\w-]{50,}"),
    # secret stores
    _prefixed("vault-token", "hvs. hvb. hvr.", r"[\w-]{20,}", word=True),
    _prefixed("vault-token", "s. b. r.", r"[A-Za-z0-9]{24,26}\b", word=True),
    _prefixed("doppler-token", "dp.pt. dp.st. dp.ct. dp.sa. dp.scim. dp.audit.", r"[\w.-]{40,}", word=True),
    _prefixed("onepassword-token", "ops_eyJ", r"[\w+/=-]{60,}", word=True),
    _framed(
        "onepassword-key", r"\bA3-[A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})-(?:[A-Z0-9]{5}-){2}[A-Z0-9]{5}\b"
    ),
    _framed("age-key", r"(?i:AGE-SECRET-KEY-1)[0-9A-Za-z]{40,}"),
    _prefixed("tailscale-key", "tskey-", r"[a-z]+-[A-Za-z0-9-]{16,}"),
    # messages and mail
    _prefixed("slack-token", "xoxa- xoxb- xoxc- xoxd- xoxe- xoxo- xoxp- xoxr- xoxs- xoxe.", r"[A-Za-z0-9.%-]{10,}"),
    _prefixed("slack-token", "xapp- xwfp-", r"[A-Za-z0-9-]{16,}", word=True),
    _prefixed("sendgrid-key", "SG.", r"[\w-]{16,}\.[\w-]{16,}", word=True),
    _prefixed("twilio-key", "SK", r"[0-9a-f]{32}\b", word=True),
    _prefixed("mailgun-key", "key-", r"[0-9a-f]{32}\b", word=True),
    _framed("mailgun-key", r"\b[0-9a-f]{32}-[0-9a-f]{8}-[0-9a-f]{8}\b"),
    _framed("mailchimp-key", r"\b[0-9a-f]{32}-us[0-9]{1,2}\b"),
    _prefixed("brevo-key", "xkeysib- xsmtpsib-", "[0-9a-f]{40,}-[A-Za-z0-9]{10,}"),
    _prefixed("resend-key", "re_", r"[A-Za-z0-9]{8}_[A-Za-z0-9]{20,}", word=True),
    _framed("telegram-token", r"\b(?:bot)?[0-9]{6,12}:A[\w-]{33,}"),
    _framed("discord-token", r"\b[MNO][A-Za-z0-9_-]{23,27}\.[\w-]{6}\.[\w-]{27,}"),
    _prefixed("facebook-token", "EAAC EAAM EAAG EAAB", "[A-Za-z0-9]{80,}", word=True),
    _prefixed("twitter-token", "AAAAAAAAAAAAAAAAAAAAA", "A[A-Za-z0-9%]{60,}", word=True),
    _prefixed("figma-token", "figd_ figo_ figu_ figor_ figur_", r"[\w-]{30,}", word=True),
    _prefixed("notion-token", "ntn_ secret_", r"[A-Za-z0-9]{40,}", word=True),
    _prefixed("linear-key", "lin_api_ lin_oauth_", "[A-Za-z0-9]{30,}"),
    _prefixed("airtable-token", "pat", r"[A-Za-z0-9]{14}\.[0-9a-f]{60,}", word=True),
    _prefixed("hubspot-token", "pat-na1- pat-na2- pat-eu1-", _UUID, word=True),
    _prefixed("postman-key", "PMAK- PMAT-", "[0-9a-zA-Z]{24,}(?:-[0-9a-f]+)?", word=True),
    _prefixed("contentful-token", "CFPAT-", r"[\w-]{40,}"),
    _prefixed("typeform-token", "tfp_", r"[\w.=-]{40,}", word=True),
    _prefixed("dropbox-token", "sl.", r"[\w-]{60,}", word=True),
    # payment
    _prefixed("stripe-key", "sk_live_ sk_test_ sk_prod_ rk_live_ rk_test_ rk_prod_", "[A-Za-z0-9]{10,}"),
    _prefixed("webhook-secret", "whsec_", "[A-Za-z0-9+/]{24,}={0,2}", word=True),
    _prefixed("square-token", "sq0atp- sq0csp- sq0idp- EAAA", r"[\w-]{22,}", word=True),
    _prefixed("toss-key", "live_sk_ test_sk_ live_gsk_ test_gsk_ live_ck_ live_gck_", "[A-Za-z0-9]{20,}", word=True),
    _prefixed("shopify-token", "shpat_ shpca_ shppa_ shpss_ shptka_", "[a-fA-F0-9]{30,}"),
    _prefixed("razorpay-key", "rzp_live_ rzp_test_", "[A-Za-z0-9]{14,}"),
    _prefixed("paypal-token", "access_token$production$ access_token$sandbox$", r"[a-z0-9]+\$[0-9a-f]{20,}"),
    _prefixed("plaid-token", "access-sandbox- access-development- access-production-", _UUID),
    _prefixed("shippo-token", "shippo_live_ shippo_test_", "[0-9a-f]{40}"),
    _prefixed("duffel-token", "duffel_live_ duffel_test_", r"[\w=-]{40,}"),
    _prefixed("flutterwave-key", "FLWSECK- FLWSECK_TEST- FLWPUBK- FLWPUBK_TEST-", "[A-Za-z0-9]{12,}(?:-X)?"),
    _prefixed("easypost-key", "EZAK EZTK", "[A-Za-z0-9]{54}", word=True),
    # models
    _prefixed("anthropic-key", "sk-ant-", r"[\w-]{20,}"),
    _prefixed("openai-key", "sk-proj- sk-svcacct- sk-admin- sk-None-", r"[\w-]{20,}"),
    _prefixed("openrouter-key", "sk-or-v1- sk-or-", "[0-9a-zA-Z]{30,}", word=True),
    _prefixed("langfuse-key", "sk-lf-", _UUID),
    _prefixed("openai-key", "sk-", "[A-Za-z0-9]{32,}", word=True),
    _prefixed("huggingface-token", "hf_ api_org_", "[A-Za-z0-9]{30,}", word=True),
    _prefixed("replicate-token", "r8_", "[A-Za-z0-9]{30,}", word=True),
    _prefixed("groq-key", "gsk_", "[A-Za-z0-9]{40,}", word=True),
    _prefixed("perplexity-key", "pplx-", "[A-Za-z0-9]{32,}", word=True),
    _prefixed("xai-key", "xai-", "[A-Za-z0-9]{60,}", word=True),
    _prefixed("nvidia-key", "nvapi-", r"[\w-]{50,}", word=True),
    _prefixed("langsmith-key", "lsv2_pt_ lsv2_sk_", r"\w{32,}"),
    _prefixed("pinecone-key", "pcsk_", r"\w{50,}", word=True),
    _prefixed("cerebras-key", "csk-", "[a-z0-9]{40,}", word=True),
    _prefixed("tavily-key", "tvly-", r"[A-Za-z0-9-]{28,}", word=True),
    _prefixed("together-key", "tgp_v1_", r"[\w-]{36,}", word=True),
    _prefixed("elevenlabs-key", "sk_", "[0-9a-f]{48,}", word=True),
    # observing
    _prefixed("grafana-token", "glc_ glsa_", r"[A-Za-z0-9+/_]{30,}={0,2}", word=True),
    _prefixed("newrelic-key", "NRAK- NRII- NRJS- NRRA-", r"[\w-]{19,}", word=True),
    _framed("newrelic-key", r"\b[0-9a-f]{36}(?:NRAL|FFFFNRAL)\b"),
    _prefixed("sentry-token", "sntrys_ sntryu_", "[A-Za-z0-9+/=_-]{40,}"),
    _prefixed(
        "dynatrace-token", "dt0c01. dt0s01. dt0s02. dt0s04. dt0s08. dt0s16.", r"[A-Z0-9]{24}(?:\.[A-Z0-9]{60,})?"
    ),
    _prefixed("posthog-key", "phx_ phs_", "[A-Za-z0-9]{40,}", word=True),
    _prefixed("launchdarkly-key", "sdk- mob- api-", _UUID, word=True),
    _prefixed("mapbox-token", "sk.eyJ pk.eyJ", r"[\w-]{40,}\.[\w-]{20,}", word=True),
    # standards
    _prefixed("jwt", "eyJ", r"[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)*", word=True),
    _framed("wallet-key", r"\b[xyzt]prv[1-9A-HJ-NP-Za-km-z]{90,}"),
    _framed("app-key", r"\bbase64:[A-Za-z0-9+/]{42,}={1,2}"),
    _framed("password-hash", r"\b(?:pbkdf2|scrypt|argon2|bcrypt)[A-Za-z0-9:_-]{0,40}\$[A-Za-z0-9./$=,+-]{20,}"),
    _framed("password-hash", r"\$2[abxy]?\$[0-9]{2}\$[A-Za-z0-9./]{40,}"),
    _framed("password-hash", r"\$(?:1|apr1)\$[A-Za-z0-9./]{1,8}\$[A-Za-z0-9./]{22,}"),
    _framed("password-hash", r"\$(?:5|6|7|y|gy)\$[A-Za-z0-9./$=,]{1,40}\$[A-Za-z0-9./]{43,}"),
    _framed("password-hash", r"\$(?:argon2(?:id?|d)|scrypt|pbkdf2[a-z0-9-]*)\$[A-Za-z0-9./$=,+-]{20,}"),
    _framed(
        "password-hash", r"\{(?:SSHA|SHA|SMD5|MD5|CRYPT|SSHA256|SSHA512|SHA256|SHA512)\}[A-Za-z0-9+/$.]{20,}={0,2}"
    ),
)
