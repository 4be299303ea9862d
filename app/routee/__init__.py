"""Everything that knows how Routee spells things."""
