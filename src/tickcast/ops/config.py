"""Settings of operations: how processes are kept alive, and the latency each hop may take."""

import msgspec

Budget = tuple[float, float, float]


class SupervisorConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[supervisor]``: restarts, stopping, and the logs of the processes."""

    restart_delay_s: float = 0.2
    """Delay before a process that died is started again; doubles with each death that follows."""
    restart_delay_max_s: float = 30.0
    """Longest such delay."""
    healthy_s: float = 60.0
    """A process that was ready for so long starts with the shortest delay again when it dies."""
    crash_loop: int = 3
    """Deaths in a row from which on it is called a crash loop."""
    ready_s: float = 30.0
    """A process that is not ready after so long is ended and started again."""
    takeover_s: float = 60.0
    """A process that is to take over from another one (``tickcast upgrade``) is ready within this time, or given up."""
    stop_s: float = 10.0
    """Everything is gone so long after a stop was asked for; what does not go by itself is killed in time."""
    restart_interval_s: float = 10.0
    """A process is restarted over REST once in so many seconds; the command line has no such limit."""
    log_bytes_max: int = 10_485_760
    """Size of a process's log file before it is put aside."""
    log_keep: int = 3
    """Log files put aside that are kept for each process."""

    def __post_init__(self) -> None:
        """Refuse what no supervisor could run with.

        Raises:
            ValueError: names the field, what is allowed and what was found.
        """
        for name in (
            "restart_delay_s", "restart_delay_max_s", "healthy_s", "ready_s", "takeover_s", "stop_s",
            "restart_interval_s",
        ):  # fmt: skip
            if not 0 < getattr(self, name) <= 86_400:
                raise ValueError(f"{name}: expected more than 0 and at most 86400 seconds, found {getattr(self, name)}")
        if self.restart_delay_max_s < self.restart_delay_s:
            raise ValueError(
                f"restart_delay_max_s: expected at least restart_delay_s ({self.restart_delay_s}), "
                f"found {self.restart_delay_max_s}"
            )
        for name, least in (("crash_loop", 2), ("log_bytes_max", 4096), ("log_keep", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}: expected at least {least}, found {getattr(self, name)}")


class LatencyConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[latency]``: the budget of each hop as ``[p50, p95, p99]`` in milliseconds."""

    exchange_to_socket: Budget = (8.0, 15.0, 32.0)
    """From the exchange's event time to our socket."""
    decode_normalise: Budget = (0.4, 1.2, 3.0)
    """From the socket to normalised records."""
    bus_write: Budget = (1.5, 4.0, 9.0)
    """From normalised records until the bus has them."""
    bus_read: Budget = (0.8, 2.0, 5.0)
    """From the bus to its consumer."""
    fanout_encode: Budget = (1.0, 4.0, 8.0)
    """From the consumer to encoded frames: the first part of ``fanout_write``."""
    fanout_write: Budget = (2.0, 8.0, 15.0)
    """From the consumer to the sockets of the clients."""
    end_to_end: Budget = (18.0, 38.0, 70.0)
    """From the exchange's event time to the sockets of the clients."""
    window_s: float = 60.0
    """Quantiles are those of about the last so many seconds."""

    def __post_init__(self) -> None:
        """Refuse budgets that cannot be one.

        Raises:
            ValueError: names the hop, what is allowed and what was found.
        """
        for hop, budget in self.budgets().items():
            p50, p95, p99 = budget
            if not 0 < p50 <= p95 <= p99:
                raise ValueError(f"{hop}: expected [p50, p95, p99] in ms, above 0 and ascending, found {list(budget)}")
        if not 1 <= self.window_s <= 3600:
            raise ValueError(f"window_s: expected 1 to 3600 seconds, found {self.window_s}")

    def budgets(self) -> dict[str, Budget]:
        """Hop to (p50, p95, p99) in ms, in the order of the way of a tick."""
        return {name: getattr(self, name) for name in self.__struct_fields__ if name != "window_s"}
