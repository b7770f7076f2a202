import msgspec
import pytest

from tickcast.gateway.config import Config


def test_defaults_are_those_of_the_protocol() -> None:
    config = Config()
    assert (config.symbols_max, config.frame_max, config.requests_per_second) == (1000, 65_536, 20)
    assert (config.handshake_timeout_s, config.request_timeout_s) == (10, 30)
    assert (config.ping_interval_s, config.heartbeat_s) == (45, 15)
    assert config.host == "127.0.0.1"


@pytest.mark.parametrize(
    "settings",
    [{"port": 70_000}, {"symbols_max": 0}, {"ping_interval_s": 0}, {"origins": ["app.example"]}, {"prot": 1}],
)
def test_wrong_settings_are_named(settings: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError, match=next(iter(settings))):
        msgspec.convert(settings, Config)
