"""The bans, which all replicas share, page by page: the newest first."""

from collections.abc import Sequence

from app.console.connections import Listing
from app.console.walking import Page, choose, placed
from app.realtime.cluster.bans import Ban


class BanPage(Page, frozen=True, kw_only=True):
    """A page of bans."""

    rows: list[Ban]


async def ban_page(bans: Sequence[Ban], listing: Listing) -> BanPage:
    """List bans, the newest first. Raises BadCursor."""
    chosen = await choose(
        bans, lambda ban: placed((ban.since,), ban.player_id, listing.order), listing.after, listing.limit
    )
    rows = [ban for _, ban in chosen.rows]
    return BanPage(rows=rows, total=chosen.total, matched=chosen.matched, next=chosen.next)
