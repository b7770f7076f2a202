"""Protobuf messages: types that `make proto` generates from `proto/`, and how plain values become messages and back."""
