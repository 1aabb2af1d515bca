"""The store: SQLAlchemy Core over SQLite or PostgreSQL, behind one committer."""
