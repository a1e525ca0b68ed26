"""Tokens of players, as a backend of the game would sign them."""

import time
from typing import Any

import jwt

from tools.harness.server import SECRET


def token(
    player_id: str, ttl_s: float = 3_600, secret: str = SECRET, *, algorithm: str = "HS256", **claims: Any
) -> str:
    """A token that ends in `ttl_s`; `claims` come besides or instead, those that are None are left out.

    The `algorithm` "none" needs an empty `secret`, and signs nothing.
    """
    every = {"sub": player_id, "exp": time.time() + ttl_s} | claims
    return jwt.encode({name: value for name, value in every.items() if value is not None}, secret, algorithm)
