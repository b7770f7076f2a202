"""The page and the documentation of REST: files of the package, found once at start. No file, no route."""

import base64
import hashlib
import html
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from fastapi.responses import FileResponse, HTMLResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.types import Scope

from tickcast.gateway import errors

FOLDER: Final = Path(__file__).parent / "page"
_FRESH: Final = {"cache-control": "no-cache"}
_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:48rem;margin:3rem auto;padding:0 1rem;color-scheme:light dark}"
    "code{font-family:ui-monospace,monospace}dt{margin-top:1rem}"
)
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_CLOSED: Final = "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
CSP: Final = (
    f"default-src 'none'; script-src 'self'; style-src 'self' 'sha256-{_STYLE_HASH}'; connect-src 'self'; "
    f"img-src 'self' data:; font-src 'self'; {_CLOSED}"
)
"""What a page of ours may load: its own files, nothing inline but the one style above."""
DOCS_CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
    f"img-src 'self' data:; font-src 'self'; {_CLOSED}"
)
"""Swagger UI sets styles of single elements."""
HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
"""Of every answer. Pages of other sites read by CORS or not at all, so not as a script or an image either."""
HTML_HEADERS: Final = (
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (b"x-frame-options", b"DENY"),
)
_NOT_BUILT: Final = """<!doctype html><html lang="en"><meta charset="utf-8"><title>tickcast</title>
<link rel="icon" href="data:,"><style>{style}</style>
<h1>tickcast is running</h1>
<p>The page is not built: <code>make page</code> in the repository builds it (Node 20 or newer), then restart.
Everything else works:</p>
<ul><li><a href="/docs">REST reference</a></li><li><a href="/prices?symbols=AAPL">/prices?symbols=AAPL</a></li>
<li><a href="/symbols">/symbols</a></li><li>WebSocket at <code>/stream</code></li></ul></html>"""
_SWAGGER: Final = """<!doctype html><html lang="en"><meta charset="utf-8"><title>tickcast REST</title>
<link rel="icon" href="data:,"><link rel="stylesheet" href="/docs/swagger-ui.css"><div id="docs"></div>
<script src="/docs/swagger-ui-bundle.js"></script><script src="/docs/start.js"></script></html>"""
_SWAGGER_START: Final = 'SwaggerUIBundle({url: "/openapi.json", dom_id: "#docs", validatorUrl: null});\n'


class _Hashed(StaticFiles):
    """Files whose names hold a hash of their content: never asked for again."""

    def file_response(self, *args: Any, **options: Any) -> Response:
        response = super().file_response(*args, **options)
        response.headers["cache-control"] = "public, max-age=31536000, immutable"
        return response

    def lookup_path(self, path: str) -> Any:
        """Find a file; a path with a NUL is not one."""
        return ("", None) if "\0" in path else super().lookup_path(path)

    async def get_response(self, path: str, scope: Scope) -> Response:
        return await super().get_response(path, scope)


def add_page(app: FastAPI, folder: Path = FOLDER) -> None:
    """Serve the built page from ``folder``: ``index.html`` at ``/``, hashed files below ``/assets``."""
    index = folder / "index.html"
    if not index.is_file():

        @app.get("/", include_in_schema=False)
        async def not_built() -> HTMLResponse:
            return HTMLResponse(_NOT_BUILT.format(style=_STYLE), headers=_FRESH)

        return
    if (folder / "assets").is_dir():
        app.mount("/assets", _Hashed(directory=folder / "assets"), name="assets")
    for path in sorted(folder.iterdir()):
        if path.is_file() and not path.name.startswith("."):
            _add_file(app, "/" if path == index else f"/{path.name}", path)


def _add_file(app: FastAPI, route: str, path: Path) -> None:
    async def send() -> FileResponse:
        return FileResponse(path, headers=_FRESH)

    app.add_api_route(route, send, methods=["GET", "HEAD"], include_in_schema=False)


def own_paths(folder: Path = FOLDER) -> Callable[[str], bool]:
    """Whether a path is one of the page's, as :func:`add_page` serves it."""
    names = {f"/{path.name}" for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")}
    return lambda path: path == "/" or path.startswith("/assets/") or path in names


def add_docs(app: FastAPI, folder: Path = FOLDER / "docs") -> None:
    """Serve ``/docs``: Swagger UI where the build brought it, else a listing of our own. Neither needs a network."""

    @app.get(errors.PATH, include_in_schema=False)
    async def what_errors_mean() -> HTMLResponse:
        return HTMLResponse(errors.page(), headers=_FRESH)

    if (folder / "swagger-ui-bundle.js").is_file():

        @app.get("/docs", include_in_schema=False)
        async def swagger() -> HTMLResponse:
            return HTMLResponse(_SWAGGER, headers=_FRESH)

        @app.get("/docs/start.js", include_in_schema=False)
        async def start() -> Response:
            return Response(_SWAGGER_START, media_type="text/javascript", headers=_FRESH)

        app.mount("/docs", StaticFiles(directory=folder), name="docs")
        return

    @app.get("/docs", include_in_schema=False)
    async def listing() -> HTMLResponse:
        return HTMLResponse(_listing(app.openapi()), headers=_FRESH)


def _listing(schema: dict[str, Any]) -> str:
    entries = []
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            parameters = "".join(
                f"<li><code>{html.escape(one['name'])}</code> {html.escape(one.get('description', ''))}</li>"
                for one in operation.get("parameters", ())
            )
            entries.append(
                f"<dt><code>{method.upper()} {html.escape(path)}</code></dt><dd>"
                f"{html.escape(operation.get('description') or operation.get('summary', ''))}<ul>{parameters}</ul></dd>"
            )
    title = html.escape(schema["info"]["title"])
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f'<link rel="icon" href="data:,"><style>{_STYLE}</style>'
        f'<h1>{title}</h1><p>The whole description: <a href="/openapi.json">openapi.json</a>.</p>'
        f"<dl>{''.join(entries)}</dl></html>"
    )
