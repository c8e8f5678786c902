"""SQL over a version: views, macros, the closed reader, the query library, and output formats."""
