-- Raise the sequences, so that ids of rows and campaigns that a lost primary may have issued are never issued again.
SELECT
    SETVAL('pipeline_lifecycle_id_seq', ids.last_value + %(margin)s) AS last_id,
    SETVAL('backfill_campaigns_campaign_id_seq', campaigns.last_value + %(margin)s) AS last_campaign_id
FROM pipeline_lifecycle_id_seq AS ids
CROSS JOIN backfill_campaigns_campaign_id_seq AS campaigns
