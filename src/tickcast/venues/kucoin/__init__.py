"""KuCoin: spot, perpetuals and futures over links that a token opens."""
