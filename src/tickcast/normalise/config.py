"""Settings of the stage ``normalise``."""

import msgspec


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One pipeline for each feed."""

    dedup_window: int = 262_144
    """Keys that dedup remembers."""
    batch_max: int = 16_384
    """Most records of one batch; more become several, cut between events."""
    waiting_max: int = 4_096
    """Most records that wait for the definition of their instrument; the oldest beyond it are dead letters."""
    ledger_open_max: int = 1_024
    """Entries of the gap ledger that are open at one time; a break beyond it joins the newest entry of its kind."""
    ledger_drift_max: int = 60
    """Entries about unknown things in a venue's messages in an hour; the same one is entered once."""
    skew_ms: int = 1_000
    """An event time further ahead of the receive time is not believed."""
