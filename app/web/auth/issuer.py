"""Tokens of our own making."""

import time
from dataclasses import dataclass
from typing import Any

import jwt

from app.web.auth.signature import ALGORITHM


@dataclass(slots=True)
class TokenIssuer:
    """The maker of tokens with the current secret, for guests and for the command line."""

    secret: str
    issuer: str
    audience: str

    def issue(self, player_id: str, name: str, ttl_s: float) -> tuple[str, float]:
        """Sign a token for a player; return it and when it ends (epoch seconds)."""
        now = time.time()
        expires_at = int(now + ttl_s)
        claims: dict[str, Any] = {"sub": player_id, "name": name, "iat": int(now), "exp": expires_at}
        if self.issuer:
            claims["iss"] = self.issuer
        if self.audience:
            claims["aud"] = self.audience
        return jwt.encode(claims, self.secret, algorithm=ALGORITHM), float(expires_at)
