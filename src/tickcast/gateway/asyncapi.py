"""The AsyncAPI 3 document of ``/stream``, made of the types that requests are parsed with and replies written from."""

import json
from typing import Any, Final

import msgspec

from tickcast.gateway import frames, messages
from tickcast.gateway.codes import CloseCode, ErrorCode

VERSION: Final = "1"
"""Of the protocol."""
REF: Final = "#/components/schemas/{name}"
UNASKED: Final = ("Subscribed", "Rate", "Heartbeat", "Error")
"""Replies that also come without a request."""
_DESCRIPTION: Final = (
    "Prices, trades, books and bars over one WebSocket. Messages are JSON objects (with `batch` arrays of them); "
    "clients ignore types and keys they do not know. `tickcast.msgpack` and `tickcast.proto` say the same in fewer "
    "bytes. docs/protocol.md of the repository is the whole protocol: counters, resuming, states, limits."
)


def document() -> dict[str, Any]:
    """Return the document."""
    kinds = [*messages.REQUESTS.values(), *messages.REPLIES, *frames.FRAMES]
    _, schemas = msgspec.json.schema_components(kinds, ref_template=REF)
    for action, kind in messages.REQUESTS.items():
        schema = schemas[kind.__name__]
        schema["properties"] = {"action": {"const": action}, **schema["properties"]}
        schema["required"] = ["action", *schema.get("required", ())]
    requests = [kind.__name__ for kind in messages.REQUESTS.values()]
    replies = [kind.__name__ for kind in messages.REPLIES]
    data = [kind.__name__ for kind in frames.FRAMES]
    notes = [kind.__name__ for kind in messages.REPLIES if kind.__name__.endswith("Note")] + ["StatusSnapshot"]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "tickcast stream",
            "version": VERSION,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "gateway": {
                "host": "{host}",
                "protocol": "ws",
                "variables": {"host": {"default": "127.0.0.1:8000", "description": "Name and port of a gateway."}},
                "security": [{"$ref": f"#/components/securitySchemes/{name}"} for name in _SECURITY],
            }
        },
        "channels": {
            "stream": {
                "address": "/stream",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in (*requests, *replies, *data)},
                "bindings": {"ws": {"method": "GET", "query": _QUERY}},
            }
        },
        "operations": {
            "request": {
                "action": "receive",
                "channel": {"$ref": "#/channels/stream"},
                "summary": "What clients ask for; each request gets one reply, in order.",
                "messages": _refs(requests),
                "reply": {"channel": {"$ref": "#/channels/stream"}, "messages": _refs(replies)},
            },
            "push": {
                "action": "send",
                "channel": {"$ref": "#/channels/stream"},
                "summary": "What the gateway tells by itself.",
                "messages": _refs([*data, *notes, *UNASKED]),
            },
        },
        "components": {
            "messages": {name: _message(name, schemas[name]) for name in (*requests, *replies, *data)},
            "schemas": schemas,
            "securitySchemes": _SECURITY,
        },
        "x-errors": {str(code.value): code.meaning for code in ErrorCode},
        "x-closes": {str(code.value): code.meaning for code in CloseCode},
    }


def _refs(names: list[str]) -> list[dict[str, str]]:
    return [{"$ref": f"#/channels/stream/messages/{name}"} for name in names]


def _message(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    summary = str(schema.get("description", name)).split("\n", 1)[0]
    return {"name": name, "summary": summary, "payload": {"$ref": REF.format(name=name)}}


_QUERY: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "numbers": {"enum": ["number", "string"], "default": "number"},
        "batch": {"enum": ["0", "1"], "default": "0"},
        "compact": {"enum": ["0", "1"], "default": "0"},
    },
}
_SECURITY: Final[dict[str, Any]] = {
    "token": {"type": "http", "scheme": "bearer", "description": "A token or an API key, where one is wanted."},
    "key": {"type": "httpApiKey", "in": "header", "name": "X-Api-Key", "description": "An API key."},
    "ticket": {"type": "httpApiKey", "in": "query", "name": "ticket", "description": "For browsers: of POST /ticket."},
}
TEXT: Final = json.dumps(document(), indent=1, ensure_ascii=False) + "\n"
"""As it is served, and kept in the reference."""
