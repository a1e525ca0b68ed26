"""Authentication: who is there, by a token (JWT, RFC 7519) or by a ticket made from one."""
