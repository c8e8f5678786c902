"""Reading a version: the queries of ``sql/``, run read-only and closed."""
