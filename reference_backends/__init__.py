"""The runtime library of MCP session stores."""
