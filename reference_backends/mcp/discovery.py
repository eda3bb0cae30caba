"""Find the token endpoint for stored tokens, and check whether the MCP server still uses their issuer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp.client.auth.utils import (
    build_oauth_authorization_server_metadata_discovery_urls,
    build_protected_resource_metadata_discovery_urls,
    create_oauth_metadata_request,
    extract_resource_metadata_from_www_auth,
    handle_auth_metadata_response,
    handle_protected_resource_response,
)

from reference_backends.mcp.account import Account
from reference_backends.mcp.flows import TIMEOUT, Flow

if TYPE_CHECKING:
    from httpx2 import Request, Response


async def find_token_endpoint(account: Account) -> Flow:
    """Find the token endpoint of the issuer that the refresh token belongs to. Accept no other issuer."""
    issuer = account.issuer
    if issuer is None:
        return
    for url in build_oauth_authorization_server_metadata_discovery_urls(issuer, account.context.server_url):
        go_on, metadata = await handle_auth_metadata_response((yield _get(url)))
        if metadata is not None and _same(str(metadata.issuer), issuer):
            account.context.oauth_metadata = metadata
            account.token_endpoint = str(metadata.token_endpoint)
            return
        if not go_on:
            return


async def check_issuer(account: Account, refusal: Response) -> Flow:
    """Drop refresh token and client if the MCP server, which has answered 401, uses another issuer now."""
    issuer, stated = account.issuer, extract_resource_metadata_from_www_auth(refusal)
    if issuer is None:
        return
    for url in build_protected_resource_metadata_discovery_urls(stated, account.context.server_url):
        metadata = await handle_protected_resource_response((yield _get(url)))
        if metadata is not None:
            if not any(_same(str(each), issuer) for each in metadata.authorization_servers):
                await account.drop_refresh_token(with_client="the MCP server uses another authorization server")
            return


def _get(url: str) -> Request:
    request = create_oauth_metadata_request(url)
    request.extensions["timeout"] = TIMEOUT
    return request


def _same(one: str, other: str) -> bool:
    """Return whether two issuers are equal, except for a slash at the end."""
    return one.rstrip("/") == other.rstrip("/")
