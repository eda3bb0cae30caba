"""The conformance suite for MCP session stores."""
