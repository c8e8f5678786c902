"""Tests of the documentation: its examples, links and generated pages."""
