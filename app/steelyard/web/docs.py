"""A page of documentation made from the OpenAPI document: no script, no outside asset."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

_STYLE = """
body{font:1rem/1.5 system-ui,sans-serif;margin:0 auto;max-width:60rem;padding:1rem;
color:#1b1b1b;background:#fff}
a{color:#0b4f9e}h1,h2,h3{line-height:1.2}section{border-top:1px solid #bbb;margin-top:1.5rem}
code,pre{font-family:ui-monospace,monospace;font-size:.9rem}pre{background:#f2f2f2;padding:.75rem;
overflow:auto}
table{border-collapse:collapse;width:100%}caption{text-align:left;font-weight:600;padding:.5rem 0}
th,td{border:1px solid #bbb;padding:.3rem .5rem;text-align:left;vertical-align:top}
.method{background:#123;color:#fff;padding:.1rem .4rem;border-radius:.2rem}
.skip{position:absolute;left:-99rem}.skip:focus{position:static}
@media(prefers-color-scheme:dark){body{background:#16181b;color:#eee}a{color:#8ec5ff}pre{background:#24272b}}
""".strip()

STYLE_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{STYLE_DIGEST}'; "
    "base-uri 'none'; frame-ancestors 'none'"
)


def page(document: Mapping[str, Any]) -> str:
    """The HTML page for an OpenAPI document."""
    info = document["info"]
    operations = [
        (method.upper(), path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]
    title = escape(f"{info['title']} {info['version']}")
    contents = "".join(_entry(*operation) for operation in operations)
    sections = "".join(_section(*operation) for operation in operations)
    schemas = "".join(
        _schema(name, schema) for name, schema in sorted(document["components"]["schemas"].items())
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body>"
        '<a class="skip" href="#operations">Skip to the operations</a>'
        f"<header><h1>{title}</h1><p>{escape(info['description'])}</p>"
        '<p>The same for programs: <a href="/openapi.json">/openapi.json</a> (OpenAPI 3.1).</p>'
        f'</header><nav aria-label="Operations"><h2>Contents</h2><ul>{contents}</ul></nav>'
        f'<main id="operations"><h2>Operations</h2>{sections}<h2>Schemas</h2>{schemas}</main>'
        "</body></html>"
    )


def _entry(method: str, path: str, operation: Mapping[str, Any]) -> str:
    target = escape(operation["operationId"])
    label = escape(f"{method} {path}")
    return f'<li><a href="#{target}"><code>{label}</code></a> {escape(operation["summary"])}</li>'


def _section(method: str, path: str, operation: Mapping[str, Any]) -> str:
    paragraphs = operation.get("description", "").split("\n\n")
    described = "".join(f"<p>{escape(text)}</p>" for text in paragraphs if text)
    access = "an access token is needed" if operation["security"] else "public"
    return (
        f'<section id="{escape(operation["operationId"])}">'
        f'<h3><span class="method">{escape(method)}</span> <code>{escape(path)}</code></h3>'
        f"<p>{escape(operation['summary'])} ({access})</p>{described}"
        f"{_parameters(operation['parameters'])}{_body(operation.get('requestBody'))}"
        f"{_responses(operation['responses'])}</section>"
    )


def _parameters(parameters: list[Mapping[str, Any]]) -> str:
    rows = [
        (
            f"<code>{escape(parameter['name'])}</code>",
            escape(parameter["in"]),
            "yes" if parameter["required"] else "no",
            f"<code>{_short(parameter['schema'])}</code>",
            escape(parameter.get("description", "")),
        )
        for parameter in parameters
    ]
    return _table("Parameters", ("Name", "In", "Required", "Schema", "Meaning"), rows)


def _body(body: Mapping[str, Any] | None) -> str:
    if body is None:
        return ""
    rows = [
        (f"<code>{escape(content_type)}</code>", _link(media["schema"]))
        for content_type, media in body["content"].items()
    ]
    example = next(
        (media["example"] for media in body["content"].values() if "example" in media), None
    )
    shown = f"<pre>{escape(json.dumps(example, indent=2))}</pre>" if example else ""
    return _table("Request body", ("Content type", "Schema"), rows) + shown


def _responses(responses: Mapping[str, Any]) -> str:
    rows = [
        (
            escape(status),
            escape(response["description"]),
            ", ".join(
                f"<code>{escape(content_type)}</code> {_link(media['schema'])}"
                for content_type, media in response.get("content", {}).items()
            ),
        )
        for status, response in responses.items()
    ]
    return _table("Responses", ("Status", "Meaning", "Content"), rows)


def _table(caption: str, heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{text}</th>' for text in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    head = f"<caption>{caption}</caption><thead><tr>{head}</tr></thead>"
    return f"<table>{head}<tbody>{body}</tbody></table>"


def _link(schema: Mapping[str, Any]) -> str:
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    if name:
        return f'<a href="#schema-{escape(name)}">{escape(name)}</a>'
    return f"<code>{_short(schema)}</code>"


def _short(schema: Mapping[str, Any]) -> str:
    return escape(json.dumps(schema, separators=(", ", ": ")))


def _schema(name: str, schema: Mapping[str, Any]) -> str:
    return (
        f'<section id="schema-{escape(name)}"><h3>{escape(name)}</h3>'
        f"<pre>{escape(json.dumps(schema, indent=2))}</pre></section>"
    )
