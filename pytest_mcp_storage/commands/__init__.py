"""The commands of ``mcp-storage`` that belong to no other room."""
