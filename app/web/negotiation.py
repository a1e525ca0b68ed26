"""What a client says that it takes, and that it has."""


def takes_gzip(accept_encoding: str) -> bool:
    """Tell whether a header names gzip, and not to refuse it (RFC 9110 section 12.5.3)."""
    offers = (offer.replace(" ", "").lower().partition(";q=") for offer in accept_encoding.split(","))
    return any(name == "gzip" and (not weight or weight.strip("0.")) for name, _, weight in offers)


def is_known(tag: str, if_none_match: str) -> bool:
    """Tell whether a header names the tag, be it as a strong or a weak one (RFC 9110 section 13.1.2)."""
    known = {one.strip().removeprefix("W/") for one in if_none_match.split(",")}
    return "*" in known or tag.removeprefix("W/") in known
