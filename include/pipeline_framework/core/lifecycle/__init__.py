"""The life of one window: claims, leases, transitions, campaigns, reports of other systems."""
