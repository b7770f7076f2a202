"""Requests and replies between Protobuf and the plain values that JSON has: for what is written seldom. Pure.

Field names are JSON's keys. Four shapes differ, since Protobuf has no null, no union and no map of maps: ``RequestId``
is a text or a number, ``Fields`` a list or null, ``CountersBySymbol`` the inner map, ``Json`` an object of any keys.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from google.protobuf.message import Message

_REQUEST_ID = "RequestId"
_FIELDS = "Fields"
_JSON = "Json"
_INNER_MAPS = {"CountersBySymbol": "symbols"}


def fill(message: Message, values: Mapping[str, Any]) -> None:
    """Put values into a message.

    Raises:
        KeyError: the message has no field of a name.
        TypeError, ValueError: a value does not fit its field.
    """
    for key, value in values.items():
        field = message.DESCRIPTOR.fields_by_name[key]
        target = getattr(message, key)
        if field.message_type is None:
            if field.is_repeated:
                target.extend(value)
            else:
                setattr(message, key, value)
        elif field.message_type.GetOptions().map_entry:
            of_message = field.message_type.fields_by_name["value"].message_type is not None
            for name, entry in value.items():
                if of_message:
                    _fill_one(target[name], entry)
                else:
                    target[name] = entry
        elif field.is_repeated:
            for entry in value:
                _fill_one(target.add(), entry)
        else:
            target.SetInParent()
            _fill_one(target, value)


def _fill_one(message: Any, value: Any) -> None:
    name = message.DESCRIPTOR.name
    if name == _REQUEST_ID:
        if isinstance(value, str):
            message.text = value
        else:
            message.number = value
    elif name == _FIELDS:
        if value is None:
            message.all = True
        else:
            message.values.extend(value)
    elif name == _JSON:
        message.text = msgspec.json.encode(value).decode()
    elif name in _INNER_MAPS:
        fill(message, {_INNER_MAPS[name]: value})
    else:
        fill(message, value)


def plain(message: Message, *, defaults: bool = False) -> dict[str, Any]:
    """Return the values of a message that are set; with ``defaults`` also those whose presence is not told."""
    values: dict[str, Any] = {}
    if defaults:
        for field in message.DESCRIPTOR.fields:
            if not field.has_presence:
                values[field.name] = _plain_value(field, getattr(message, field.name), defaults=True)
    for field, value in message.ListFields():
        values[field.name] = _plain_value(field, value, defaults=defaults)
    return values


def _plain_value(field: Any, value: Any, *, defaults: bool) -> Any:
    if field.message_type is None:
        return list(value) if field.is_repeated else value
    if field.message_type.GetOptions().map_entry:
        if field.message_type.fields_by_name["value"].message_type is None:
            return dict(value)
        return {name: _plain_one(entry, defaults=defaults) for name, entry in value.items()}
    if field.is_repeated:
        return [_plain_one(entry, defaults=defaults) for entry in value]
    return _plain_one(value, defaults=defaults)


def _plain_one(message: Any, *, defaults: bool) -> Any:
    name = message.DESCRIPTOR.name
    if name == _REQUEST_ID:
        which = message.WhichOneof("id")
        return None if which is None else getattr(message, which)
    if name == _FIELDS:
        return None if message.all else list(message.values)
    if name == _JSON:
        return msgspec.json.decode(message.text)
    values = plain(message, defaults=defaults)
    return values.get(_INNER_MAPS[name], {}) if name in _INNER_MAPS else values
