"""The shared package behind every DAG: framework, adapters, pipelines and SQL.

Whoever imports it has the pinned time zone rules from then on.
"""

from include.pipeline_framework.core.time import zone_rules

zone_rules.use_pinned()
