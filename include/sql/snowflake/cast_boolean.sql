-- A part of a statement: accept only true and false, in any case.
CASE LOWER({text}) WHEN 'true' THEN TRUE WHEN 'false' THEN FALSE END
