-- Create the external stage at the root of the pipeline's stage.
CREATE STAGE IF NOT EXISTS {stage}
    URL = %(url)s
    STORAGE_INTEGRATION = {integration}
    FILE_FORMAT = (TYPE = JSON)
