"""Make a promoted standby the ledger, when a person, or a cluster manager's callback, says that it is one."""

from __future__ import annotations

import logging

from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.core.restoring.ledger_identity import ID_MARGIN, SeenIdentity, require_failover
from include.pipeline_framework.ports.ledger import LedgerRestoring

_log = logging.getLogger(__name__)


def adopt_failover(store: LedgerRestoring, actor: Actor, *, apply: bool = False) -> SeenIdentity:
    """Record the promoted standby as the ledger, and lift its ids above all that the lost primary may have given away.

    Fences need no lifting: the new timeline is in their high bits. A second call changes nothing.

    Args:
        store: The ledger.
        actor: The one that says so; it is kept with the identity.
        apply: When False, only look.

    Returns:
        The identity that was found, before anything was changed.

    Raises:
        InvalidInputError: The ledger is another one, and this is no failover; nothing was changed.
    """
    seen = store.identity()
    if seen.is_recorded:
        return seen
    require_failover(seen)
    if apply:
        store.record_identity(actor, lift_ids=ID_MARGIN)
        _log.info("adopted the failover from %s to %s", seen.recorded, seen.present)
    return seen
