"""The one place that creates configurations, ledger, clients and actors, for all three fronts."""
