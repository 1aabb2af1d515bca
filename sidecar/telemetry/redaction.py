"""Takes what looks like a secret out of an error's message, before it goes to a trace backend."""

import re

_HIDDEN = "***"
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}", rf"\1 {_HIDDEN}"),
        (r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*", _HIDDEN),
        (
            r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bgh[pousr]_\w{20,}|\b(?:whsec|sk_live|sk_test|dxs)_[\w+/=-]+",
            _HIDDEN,
        ),
        (r"(://[^\s:/@]{0,256}:)[^\s/@]{1,256}@", rf"\1{_HIDDEN}@"),
        (
            r"(?i)((?:api|access|secret|private)[_-]?key|token|secret|passw(?:or)?d|pwd|authorization|signature)"
            r"(['\"]?\s{0,4}[:=]\s{0,4}['\"]?)[^\s'\",;&]+",
            rf"\1\2{_HIDDEN}",
        ),
    )
)


def redacted(text: str, limit: int) -> str:
    """Return at most `limit` characters of the text; a second line of defence, not a promise."""
    shown = text[: 2 * limit]
    for pattern, replacement in _PATTERNS:
        shown = pattern.sub(replacement, shown)
    return shown[:limit]
