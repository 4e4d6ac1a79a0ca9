"""The bodies of the API's requests: what a client may send, and its bounds."""

from pydantic import BaseModel, Field

Name = Field(max_length=200)


class Execute(BaseModel):
    """Carry out a plan."""

    plan: str = Name


class ChangeSetting(BaseModel):
    """Change a setting; None for its default."""

    key: str = Name
    value: str | None = Field(None, max_length=200)


class Dial(BaseModel):
    """Connect to a TCP port of a branch's guest."""

    branch: str = Name
    port: int = Field(ge=1, le=65535, strict=True)


class Admit(BaseModel):
    """Let this home's ssh key log in to a branch."""

    branch: str = Name


class Listen(BaseModel):
    """Listen at a port; `in_the_clear` at an address that others reach, too."""

    address: str = Name
    port: int = Field(ge=0, le=65535, strict=True)
    in_the_clear: bool = False


class Nothing(BaseModel):
    """A verb without arguments."""


class StopAll(BaseModel):
    """End every machine; `now` leaves out the commits that would let them be resumed."""

    now: bool = False
