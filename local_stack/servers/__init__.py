"""The servers of the stack, in the order in which they are shown."""

from local_stack.servers.base import Server
from local_stack.servers.crm import Crm
from local_stack.servers.elasticsearch import Elasticsearch
from local_stack.servers.postgres import Postgres
from local_stack.servers.s3 import ObjectStorage
from local_stack.servers.snowflake import SnowflakeEmulator

SERVERS: dict[str, type[Server]] = {
    server.name: server for server in (Postgres, Elasticsearch, ObjectStorage, SnowflakeEmulator, Crm)
}

__all__ = ["SERVERS", "Server"]
