"""What a browser calls itself, in words that its owner knows."""

import ua_parser


def describe_agent(text: str) -> str:
    """Return such as ``Firefox on Windows``."""
    found = ua_parser.parse(text)
    browser = found.user_agent.family if found.user_agent else ""
    system = found.os.family if found.os else ""
    return " on ".join(part for part in (browser, system) if part) or "Unknown browser"
