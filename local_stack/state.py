"""What a stack remembers between starts: its ports and its secrets, in `state.json` (mode 0600)."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass, field

from local_stack.errors import LocalStackError
from local_stack.home import Home, write_private


def _password() -> str:
    return secrets.token_hex(12)


def _fernet_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def _signing_key() -> str:
    return secrets.token_hex(48)  # Airflow refuses a JWT secret below 64 bytes


SECRETS = {
    "postgres_superuser": _password,
    "postgres_airflow": _password,
    "postgres_ledger": _password,
    "postgres_orders": _password,
    "s3_access_key": _password,
    "s3_secret_key": _signing_key,
    "snowflake": _password,
    "crm_td": _password,
    "crm_uc": _password,
    "crm_control": _password,
    "airflow_admin": _password,
    "airflow_operator": _password,
    "airflow_viewer": _password,
    "airflow_jwt": _signing_key,
    "airflow_api": _signing_key,
    "airflow_fernet": _fernet_key,
}


@dataclass
class State:
    """The ports in use and the generated secrets; both survive restarts, so addresses and passwords stay the same.

    `is_durable`: whether the data has to survive a power cut, and not only the death of every process.
    """

    ports: dict[str, int] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    airflow_migrated: str = ""
    is_durable: bool = True

    @classmethod
    def load(cls, home: Home) -> State:
        """Read the state of a stack that was started before."""
        if not home.exists:
            raise LocalStackError(
                f"There is no local stack in {home.path}.",
                "Start it with `python -m local_stack up`, or point LOCAL_STACK_HOME at the folder of another stack.",
            )
        try:
            return cls(**json.loads(home.state_file.read_text()))
        except (ValueError, TypeError) as error:
            raise LocalStackError(
                f"{home.state_file} can't be read ({error}).",
                f"It holds the passwords of the data beside it: put it back, or delete {home.path} and start again.",
            ) from error

    @classmethod
    def load_or_create(cls, home: Home, *, is_durable: bool = True) -> State:
        """Read the state, or generate a new one for a new stack; secrets that are missing are added."""
        if not home.exists and (home.path / "postgres" / "PG_VERSION").exists():
            raise LocalStackError(
                f"{home.state_file} is gone, and with it the passwords of the databases beside it.",
                f"Put the file back, or delete {home.path} to start with an empty stack.",
            )
        state = cls.load(home) if home.exists else cls(is_durable=is_durable)
        for name, generate in SECRETS.items():
            state.secrets.setdefault(name, generate())
        state.save(home)
        return state

    def save(self, home: Home) -> None:
        """Write the state back."""
        write_private(home.state_file, json.dumps(vars(self), indent=2) + "\n")
