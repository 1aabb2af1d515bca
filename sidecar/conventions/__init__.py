"""Names and codecs that the server and its clients share; imports nothing of either."""
