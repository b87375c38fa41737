"""The web room: what both APIs share over HTTP. It knows no noun of weighing.

Problems, strict parsing, endpoints and their OpenAPI document, bearer authentication, limits,
health, metrics, TLS and the server itself.
"""
