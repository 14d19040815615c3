-- Create the external stage at the root of the pipeline's stage, readable without an integration.
CREATE STAGE IF NOT EXISTS {stage}
    URL = %(url)s
    FILE_FORMAT = (TYPE = JSON)
