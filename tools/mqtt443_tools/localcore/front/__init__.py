"""The network side of the endpoint: TLS, HTTP, WebSocket, certificates."""
