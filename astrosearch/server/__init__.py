"""astrosearch for programs, people and assistants: an HTTP API, a web page, and MCP tools.

It needs the extra `serve`: starlette, uvicorn and mcp.
"""
