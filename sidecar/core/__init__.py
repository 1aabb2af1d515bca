"""The execution core: pure, and the only room that decides anything."""
