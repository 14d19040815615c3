-- A part of a statement: true and false only, in any case.
CASE LOWER({text}) WHEN 'true' THEN TRUE WHEN 'false' THEN FALSE END
