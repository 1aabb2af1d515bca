"""Names and W3C codecs."""
