"""The one place that makes configurations, ledger, clients and actors; the three fronts stand on it."""
