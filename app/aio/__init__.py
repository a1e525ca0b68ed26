"""asyncio helpers that know nothing of the game."""
