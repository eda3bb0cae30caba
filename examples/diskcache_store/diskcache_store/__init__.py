"""An MCP session store over diskcache."""
