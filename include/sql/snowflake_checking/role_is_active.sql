-- Say whether the session has a role, by itself or by inheritance.
SELECT IS_ROLE_IN_SESSION(%(role)s) AS is_active
