"""What the headers of a request say of the person's own wishes; pure."""


def has_gpc(header: str) -> bool:
    """Tell whether Global Privacy Control is on: one value that is exactly ``1``; servers join several by commas.

    References
    ----------
    Global Privacy Control, "The Sec-GPC Header Field for HTTP Requests".
    """
    return any(part.strip() == "1" for part in header.split(","))
