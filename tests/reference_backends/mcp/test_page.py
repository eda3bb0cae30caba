"""The example of the page on logins runs as written."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import sys
from pathlib import Path

from tests.reference_backends.mcp.servers import servers

PAGE = Path(__file__).parents[3] / "docs/mcp-oauth.md"


def test_the_example_opens_the_browser_once(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "login.py").write_text(code, encoding="utf-8")
    browser = tmp_path / "browser.py"
    browser.write_text("import sys, urllib.request\nurllib.request.urlopen(sys.argv[1]).read()\n", encoding="utf-8")
    environ = os.environ | {
        "BROWSER": f"{shlex.join([sys.executable, str(browser)])} %s",
        "MCP_TS_STORAGE_TYPE": "sqlite",
        "MCP_TS_STORAGE_SQLITE_PATH": str(tmp_path / "sessions.db"),
        "STORAGE_ENCRYPTION_KEY": "5e" * 32,
    }

    async def run(url: str) -> str:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "login.py", url, cwd=tmp_path, env=environ, stdout=-1, stderr=-1
        )
        output, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()
        return output.decode()

    async def check() -> None:
        async with servers() as setting:
            assert "['greet']" in await run(setting.url)
            assert setting.authorization.done == ["register", "authorize", "exchange"]
            setting.authorization.access.clear()
            assert "['greet']" in await run(setting.url)
            assert setting.authorization.done == ["register", "authorize", "exchange", "refresh"]

    asyncio.run(check())
