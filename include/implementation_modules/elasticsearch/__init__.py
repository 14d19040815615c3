"""Elasticsearch as a source."""
